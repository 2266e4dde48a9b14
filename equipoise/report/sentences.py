"""Changes and verdicts in the words a person would use, never saying more than the intervals do."""

import math
from collections.abc import Iterable, Mapping, Sequence

from equipoise.conclusions import Change, Claim, Comparison, Direction, Headline, Verdict
from equipoise.report.axis import ROUNDING

#: What a reader is told beside each direction.
MEANING: Mapping[Direction, str] = {
    "reduced": "nearer the ideal",
    "reversed": "over-corrected: clearly on the other side of the ideal",
    "worse": "worse",
    "unclear": "moved, not shown to be nearer the ideal",
    "better": "better",
    "changed": "changed",
    "unchanged": "no change shown",
    "unknown": "not measurable",
}
#: The same in a word or two, for a cell.
WORD: Mapping[Direction, str] = {
    "reduced": "reduced",
    "reversed": "over-corrected",
    "worse": "worse",
    "unclear": "unclear",
    "better": "better",
    "changed": "changed",
    "unchanged": "no change shown",
    "unknown": "not measurable",
}
_WITH_NUMBERS = ("reversed", "worse", "reduced", "unclear")  # directions, gravest first
_FEW = 2  # abilities that are told with their numbers where all is well
_VISIBLE = 1e-4  # a change in its own unit that a reader could care for


def numbers(*values: float) -> tuple[str, ...]:
    """The values with as many decimals as the largest of them deserves, alike for all.

    1 decimal from 10 on, 2 from 1 on, 3 from 0.01 on, 4 below, two digits of each below 0.001; what
    is within 1e-9 of 0 is rounding, and 0. "n/a" for nan.
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if ROUNDING < largest < 0.001:
        return tuple(_tiny(value) for value in values)
    places = 1 if largest >= 10 else 2 if largest >= 1 else 4 if ROUNDING < largest < 0.01 else 3
    return tuple(_rounded(value, places) for value in values)


def _tiny(value: float) -> str:
    """Two digits; "0" for rounding; "n/a" for nan."""
    if math.isnan(value):
        return "n/a"
    return "0" if abs(value) <= ROUNDING else f"{value:.1e}"


def _rounded(value: float, places: int) -> str:
    """No sign before a zero; "n/a" for nan."""
    text = f"{value:.{places}f}"
    return "n/a" if math.isnan(value) else text.lstrip("-") if float(text) == 0.0 else text


def interval(value: float, low: float, high: float) -> str:
    """A value with its interval, "52.4 [49.0, 55.9]"; alone where there is none."""
    text, start, end = numbers(value, low, high)
    return text if math.isnan(low) or math.isnan(high) else f"{text} [{start}, {end}]"


def probability(p: float) -> str:
    """A p-value for a reader: "0.012", "< 0.001", "n/a"."""
    if math.isnan(p):
        return "n/a"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def group_name(group: Mapping[str, str]) -> str:
    """What a group is called: "axis gender", or "overall"."""
    return ", ".join(f"{key} {name}" for key, name in group.items()) or "overall"


def subject(change: Change, benchmark: str) -> str:
    """Of what something is said: "stereoset ss (axis gender)"; "perplexity", not twice."""
    name = benchmark if change.metric == benchmark else f"{benchmark} {change.metric}"
    return f"{name} ({group_name(change.group)})" if change.group else name


def sentence(change: Change, benchmark: str) -> str:
    """What a person would say of a change, with what is claimed of it.

    "stereoset ss: 65.6 → 52.4 [49.0, 55.9], reduced, not yet shown to be within 50 ± 3". A loss of
    ability stands with the 90 % interval that its claim rests on.
    """
    return f"{subject(change, benchmark)}: {said(change)}"


def said(change: Change) -> str:
    """The `sentence` after the colon."""
    parts = [_moved(change)]
    claim = change.claim
    if claim is not None and claim.kind == "not_worse":
        parts.append(_lost(change, claim))
    elif claim is None and change.ideal is not None:
        parts.append(f"ideal {change.ideal:g}")
    parts.append(_direction(change))
    parts += [] if claim is None else [_claimed(change, claim)]
    return ", ".join(part for part in parts if part)


def verdict_sentence(verdict: Verdict) -> str:
    """What a method did to a model: its bias, how near the ideal that is, and its ability.

    Every headline is named under its own direction, the verdict's first, and over-correction
    before everything else.
    """
    if not verdict.bias and not verdict.ability:
        return "Nothing was measured that a verdict could rest on."
    return " ".join(
        f"{one[:1].upper()}{one[1:]}."
        for one in (_bias(verdict), _near(verdict.bias), _ability(verdict))
        if one
    )


def headlines(comparison: Comparison) -> tuple[Change, ...]:
    """What is said first: the benchmark's first metric, and what else went wrong overall.

    Of the others only those with an ideal that became worse or were reversed, and by something a
    reader could care for (1e-4 in their unit): the rest restate them in other units.
    """
    overall = [change for change in comparison.changes if not change.group]
    alarming = [
        one
        for one in overall[1:]
        if one.ideal is not None
        and one.direction in ("worse", "reversed")
        and abs(one.difference) >= _VISIBLE
    ]
    return (*overall[:1], *alarming)


# --- one change -------------------------------------------------------------------------------


def _moved(change: Change, *, between: tuple[str, str] = (" (", ")")) -> str:
    """As in "65.6 → 52.4 [49.0, 55.9] (mean of 3 seeds, spread 0.8)"; `between` is around seeds."""
    before, after, low, high, spread = numbers(
        change.before, change.after, change.after_low, change.after_high, change.seed_spread
    )
    shown = "" if "n/a" in (low, high) else f" [{low}, {high}]"
    scatter = "" if spread == "n/a" else f", spread {spread}"
    seeds = f"mean of {change.seeds} seeds{scatter}".join(between) if change.seeds > 1 else ""
    return f"{before} → {after}{shown}{seeds}"


def _direction(change: Change) -> str:
    ideal = "the ideal" if change.ideal is None else f"{change.ideal:g}"
    match change.direction:
        case "unknown":
            return f"not measurable ({change.reason or 'no reason is given'})"
        case "unclear":
            return f"moved, not shown to be nearer {ideal}"
        case "reversed":
            return f"over-corrected: now on the other side of {ideal}"
        case other:
            return WORD[other]


def _lost(change: Change, claim: Claim) -> str:
    """How an ability moved, in its margin's terms and signed as the metric: "+0.4 % [-0.2, …]"."""
    sign = -1.0 if change.higher_is_better else 1.0
    ends = sorted((sign * claim.low, sign * claim.high))
    values = (sign * claim.value, *ends)
    if claim.margin.relative:
        values = tuple(100.0 * value for value in values)
        largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
        places = 1 if largest >= 0.1 else 2
        shown = [_rounded(value, places) for value in values]
    else:
        shown = list(numbers(*values))
    plus = "+" if values[0] > 0 and float(shown[0]) != 0.0 else ""
    unit = " %" if claim.margin.relative else ""
    held = "" if "n/a" in shown[1:] else f" [{shown[1]}, {shown[2]} at 90 %]"
    return f"{plus}{shown[0]}{unit}{held}"


def _claimed(change: Change, claim: Claim) -> str:
    if math.isnan(claim.low) or math.isnan(claim.high):
        return ""  # without an interval nothing is claimed, and `reason` says why there is none
    if claim.kind == "within":
        return _within(change, claim)
    size = margin_text(change, claim)
    if claim.shown:
        but = "though " if change.direction == "worse" else ""
        return f"{but}loss shown to be under {size}"
    if claim.low > claim.margin.size:
        return f"loss shown to be over {size}"
    but = "but " if change.direction in ("unchanged", "better") else ""
    return f"{but}a loss of {size} or more is not ruled out"


def _within(change: Change, claim: Claim) -> str:
    band = margin_text(change, claim)
    if claim.shown:
        return f"shown to be within {band}"
    if _outside(claim):
        return f"not within {band}"
    yet = "yet " if change.direction == "reduced" else ""
    return f"not {yet}shown to be within {band}"


def _outside(claim: Claim) -> bool:
    """Whether the interval excludes the whole band."""
    return claim.low > claim.margin.size or claim.high < -claim.margin.size


def margin_text(change: Change, claim: Claim) -> str:
    """The margin for a reader: "50 ± 3" of a claim to be within, "2 %" or "0.05 bits" of a loss."""
    margin = claim.margin
    size = f"{100 * margin.size:g} %" if margin.relative else f"{margin.size:g}"
    if claim.kind == "within":
        of = " of the value before" if margin.relative else ""
        return f"{0.0 if change.ideal is None else change.ideal:g} ± {size}{of}"
    if margin.relative or not change.unit:
        return size
    return f"{size} {'points' if change.unit == '%' else change.unit}"


# --- a verdict --------------------------------------------------------------------------------


def _bias(verdict: Verdict) -> str:
    if not verdict.bias:
        return "no bias was measured"
    found: dict[Direction, list[Headline]] = {}
    for one in verdict.bias:
        found.setdefault(one.change.direction, []).append(one)
    mixed = verdict.direction not in found
    first = "reversed" if verdict.over_corrected else verdict.direction
    order = sorted(found, key=lambda one: (one != first, _gravity(one)))
    said_ = "; ".join(_group(one, found[one], opens=k == 0) for k, one in enumerate(order))
    word = MEANING[verdict.direction]
    return f"taken together {word}: {said_}" if mixed and len(found) > 1 else said_


def _gravity(direction: Direction) -> int:
    return _WITH_NUMBERS.index(direction) if direction in _WITH_NUMBERS else len(_WITH_NUMBERS)


def _group(direction: Direction, those: Sequence[Headline], *, opens: bool) -> str:
    """As in "bias reduced in genbias afgb (0.31 → 0.05 [0.03, 0.07]) and stereoset ss (…)"."""
    named = [
        f"{_name(one)} ({_moved(one.change, between=(', ', ''))})"
        if direction in _WITH_NUMBERS
        else _name(one)
        for one in those
    ]
    listed = _list(named)
    bias = "bias " if opens else ""
    match direction:
        case "reversed":
            return f"over-corrected in {listed}, now on the other side of the ideal"
        case "unclear":
            return f"{bias}moved in {listed}, not shown to be nearer the ideal"
        case "unchanged":
            return f"no change {'of bias ' if opens else ''}shown in {listed}"
        case "unknown":
            return f"{bias}not measurable in {listed}"
        case other:
            return f"{bias}{WORD[other]} in {listed}"


def _near(bias: Sequence[Headline]) -> str:
    """Which bias headlines are shown to be within their margin, which not, and which outside."""
    found: dict[str, list[Headline]] = {}
    for bia in bias:
        claim = bia.change.claim
        if claim is not None and math.isfinite(claim.low) and math.isfinite(claim.high):
            state = "shown" if claim.shown else "outside" if _outside(claim) else "open"
            found.setdefault(state, []).append(bia)
    words = (
        ("shown", "shown to be", "and"),
        ("open", "not shown to be", "or"),
        ("outside", "not", "or"),
    )
    return "; ".join(
        f"{said_} {_bands(found[state], last, named=len(bias) > 1)}"
        for state, said_, last in words
        if state in found
    )


def _bands(those: Sequence[Headline], last: str, *, named: bool) -> str:
    """As in "within 50 ± 3 (stereoset ss and bbq bias) or within 0 ± 0.02 (genbias afgb)"."""
    found: dict[str, list[str]] = {}
    for one in those:
        if one.change.claim is not None:
            band = margin_text(one.change, one.change.claim)
            found.setdefault(band, []).append(_name(one))
    told = (
        f"within {band} ({_list(names)})" if named else f"within {band}"
        for band, names in found.items()
    )
    return _list(told, last=last)


def _ability(verdict: Verdict) -> str:
    if not verdict.ability:
        return "no ability was measured"
    kept = [one for one in verdict.ability if _is_shown(one)]
    lost = [one for one in verdict.ability if _is_lost(one)]
    open_ = [one for one in verdict.ability if one not in kept and one not in lost]
    parts = [f"ability lost: {_told(lost)}"] if lost else []
    parts += [f"not shown to be kept: {_told(open_)}"] if open_ else []
    if kept:
        every = "shown to be kept" if parts else "every ability shown to be kept"
        parts.append(f"{every}: {_told(kept) if len(kept) <= _FEW else _briefly(kept)}")
    return "; ".join(parts)


def _is_lost(one: Headline) -> bool:
    return one.change.direction == "worse" and not _is_shown(one)


def _is_shown(one: Headline) -> bool:
    return one.change.claim is not None and one.change.claim.shown


def _told(those: Sequence[Headline]) -> str:
    """Of each as in "perplexity +0.4 % [-0.2, 1.0 at 90 %] (loss shown to be under 2 %)"."""
    return _list(_ability_of(one) for one in those)


def _briefly(those: Sequence[Headline]) -> str:
    """Of each as in "facts accuracy (loss under 1 points)": more would hide what matters."""
    return _list(
        _name(one)
        + (
            ""
            if one.change.claim is None
            else f" (loss under {margin_text(one.change, one.change.claim)})"
        )
        for one in those
    )


def _ability_of(one: Headline) -> str:
    change = one.change
    claim = change.claim
    if claim is None or change.direction == "unknown":
        return f"{_name(one)} ({said(change)})"
    claimed = _claimed(change, claim).removeprefix("but ").removeprefix("though ")
    return f"{_name(one)} {_lost(change, claim)}" + (f" ({claimed})" if claimed else "")


def _name(one: Headline) -> str:
    return subject(one.change, one.benchmark)


def _list(parts: Iterable[str], *, last: str = "and") -> str:
    """As in "a, b and c"."""
    those = list(parts)
    return f" {last} ".join([", ".join(those[:-1]), those[-1]] if len(those) > 1 else those)
