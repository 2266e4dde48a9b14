"""Changes and verdicts in the words a person would use, never saying more than the intervals do."""

import math
from collections.abc import Iterable, Mapping, Sequence

from equipoise.conclusions import (
    UNSTATED,
    Base,
    Change,
    Claim,
    Comparison,
    Difference,
    Direction,
    Headline,
    Verdict,
    describe_differences,
)
from equipoise.number_text import brackets, group_name, numbers, rounded
from equipoise.report.friendlier import friendlier_sentence, read_halves

#: Each direction in a word or two, for a cell.
WORD: Mapping[Direction, str] = {
    "reduced": "reduced",
    "reversed": "over-corrected",
    "worse": "worse",
    "unclear": "unclear",
    "better": "better",
    "changed": "changed",
    "unchanged": "no change shown",
    "unknown": "not measurable",
    "not comparable": "not comparable",
}
#: The same for a sentence.
MEANING: Mapping[Direction, str] = {
    **WORD,
    "reduced": "nearer the ideal",
    "reversed": "over-corrected: clearly on the other side of the ideal",
    "unclear": "moved, not shown to be nearer the ideal",
}
_WITH_NUMBERS = ("reversed", "worse", "reduced", "unclear")  # directions, gravest first
#: Where nothing was there that could have been reduced.
_BASE: Mapping[Base, str] = {
    "ideal": ", of which none was shown before",
    "null": ", which was not told from a rule without bias before",
}
_FEW = 2  # abilities that are listed with their numbers where all is well
_VISIBLE = 1e-4  # a change in its own unit that a reader could care for


def subject(change: Change, benchmark: str) -> str:
    """What a sentence is about: "stereoset ss (axis gender)"; "perplexity", not twice."""
    name = benchmark if change.metric == benchmark else f"{benchmark} {change.metric}"
    return f"{name} ({group_name(change.group)})" if change.group else name


def sentence(change: Change, benchmark: str, differences: Sequence[Difference] = ()) -> str:
    """What a person would say of a change, with what is claimed of it, across which settings.

    "stereoset ss: 65.6 → 52.4 [49.0, 55.9], reduced, not yet shown to be within 50 ± 3". A loss of
    ability stands with the 90 % interval that its claim rests on.
    """
    return f"{subject(change, benchmark)}: {describe_change(change, differences)}"


def describe_change(change: Change, differences: Sequence[Difference] = ()) -> str:
    """The `sentence` after the colon."""
    parts = [_format_move(change)]
    claim = change.claim
    if claim is not None and claim.kind == "not_worse":
        parts.append(_format_loss(change, claim))
    elif claim is None and change.ideal is not None:
        parts.append(f"ideal {change.ideal:g}")
    ideal = "the ideal" if change.ideal is None else f"{change.ideal:g}"
    said: Mapping[Direction, str] = {
        **WORD,
        "unknown": f"not measurable ({change.reason or 'no reason is given'})",
        "unclear": f"moved, not shown to be nearer {ideal}",
        "reversed": f"over-corrected: now on the other side of {ideal}",
        "not comparable": change.reason or WORD["not comparable"],
    }
    across = describe_differences(differences, across=True)
    stated = across and change.direction not in UNSTATED
    parts.append(f"{said[change.direction]} across {across}" if stated else said[change.direction])
    parts += [] if claim is None else [_say_claim(change, claim)]
    return ", ".join(part for part in parts if part)


def verdict_sentence(verdict: Verdict) -> str:
    """What a method did to a model: its bias, how near the ideal that is, and its ability.

    Every headline is named under its own direction, the verdict's first, and over-correction
    before everything else. Settings that the sides do not share come first of all.
    """
    parts = ["; ".join(describe_settings(verdict))]
    if verdict.bias or verdict.ability:
        parts += [_say_bias(verdict), _say_claims(verdict.bias), _say_ability(verdict)]
        parts += [
            f"{halves.benchmark} {friendlier_sentence(halves)}"
            for halves in verdict.halves
            if read_halves(halves) not in ("alike", "unknown")
        ]
    elif verdict.direction != "not comparable":
        return "Nothing was measured that a verdict could rest on."
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts if part)


def headlines(comparison: Comparison) -> tuple[Change, ...]:
    """What is said first: the first metric, or those chosen, and what else went wrong overall.

    Of the others only those with an ideal that became worse or were reversed, and by something a
    reader could care for (1e-4 in their unit): the rest restate them in other units.
    """
    overall = [change for change in comparison.changes if not change.group]
    chosen = [each for name in comparison.headline for each in overall if each.metric == name]
    first = chosen or overall[:1]
    alarming = [
        change
        for change in overall
        if change not in first
        and change.ideal is not None
        and change.direction in ("worse", "reversed")
        and abs(change.difference) >= _VISIBLE
    ]
    return (*first, *alarming)


def describe_settings(compared: Comparison | Verdict) -> list[str]:
    """What differs between the sides: "not comparable: start token …", "compared across dtype …".

    Nothing where no setting does.
    """
    withheld = describe_differences(compared.differences, across=False)
    across = describe_differences(compared.differences, across=True)
    lines = [f"not comparable: {withheld}"] if withheld else []
    return [*lines, f"compared across {across}"] if across else lines


# --- a change ---------------------------------------------------------------------------------


def _format_move(change: Change, *, between: tuple[str, str] = (" (", ")")) -> str:
    """As in "65.6 → 52.4 [49.0, 55.9] (mean of 3 seeds, spread 0.8)"; `between` is around seeds."""
    moved = (change.after, change.after_low, change.after_high, change.seed_spread)
    before, after, low, high, spread = numbers(change.before, *moved)
    if any(
        end and text.strip("0.") == "" for end, text in zip(moved[1:3], (low, high), strict=True)
    ):
        # an interval that ends near 0 must not look as if it held 0: decimals of its own
        after, low, high, spread = numbers(*moved)
    ends = brackets(low, high)
    scatter = "" if spread == "n/a" else f", spread {spread}"
    seeds = f"mean of {change.seeds} seeds{scatter}".join(between) if change.seeds > 1 else ""
    return f"{before} → {after} {ends}".rstrip() + seeds


def _format_loss(change: Change, claim: Claim) -> str:
    """How an ability moved, in its margin's terms and signed as the metric: "+0.4 % [-0.2, …]"."""
    # a claim's value is a loss, above 0 for less of an ability
    sign = (-1.0 if change.higher_is_better else 1.0) * (100.0 if claim.margin.relative else 1.0)
    values = (sign * claim.value, *sorted((sign * claim.low, sign * claim.high)))
    shown = numbers(*values)
    if claim.margin.relative:
        largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
        shown = tuple(rounded(value, 1 if largest >= 0.1 else 2) for value in values)
    text, low, high = shown
    plus = "+" if values[0] > 0 and float(text) != 0.0 else ""
    unit = " %" if claim.margin.relative else ""
    return f"{plus}{text}{unit} {brackets(low, high, ' at 90 %')}".rstrip()


def _say_claim(change: Change, claim: Claim) -> str:
    if math.isnan(claim.low) or math.isnan(claim.high):
        return ""  # without an interval nothing is claimed, and `reason` says why there is none
    size = margin_text(change, claim)
    if claim.kind == "within":
        yet = "yet " if change.direction == "reduced" else ""
        state = "not " if _is_outside(claim) else f"not {yet}shown to be "
        return f"{'shown to be ' if claim.shown else state}within {size}"
    if claim.shown:
        but = "though " if change.direction == "worse" else ""
        return f"{but}loss shown to be under {size}"
    if claim.low > claim.margin.size:
        return f"loss shown to be over {size}"
    but = "but " if change.direction in ("unchanged", "better") else ""
    return f"{but}a loss of {size} or more is not ruled out"


def _was_within(change: Change, claim: Claim) -> bool:
    """Whether the whole interval before lay within the band, too."""
    ideal = 0.0 if change.ideal is None else change.ideal
    ends = (change.before_low - ideal, change.before_high - ideal)
    return claim.kind == "within" and all(abs(end) < claim.margin.size for end in ends)


def _is_outside(claim: Claim) -> bool:
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


def _say_bias(verdict: Verdict) -> str:
    """As in "bias reduced in genbias afgb (0.31 → 0.05 [0.03, 0.07]); no change shown in bbq …"."""
    if not verdict.bias:
        return "" if verdict.direction == "not comparable" else "no bias was measured"
    by_direction: dict[Direction, list[str]] = {}
    for headline in verdict.bias:
        change, name = headline.change, _headline_subject(headline)
        if change.direction in (*_WITH_NUMBERS, "not comparable"):
            name += f" ({_format_move(change, between=(', ', ''))})"
        if headline.base != "shown" and change.direction in ("reduced", "unclear", "unchanged"):
            name += _BASE[headline.base]
        by_direction.setdefault(change.direction, []).append(name)
    first = "reversed" if verdict.over_corrected else verdict.direction
    # the verdict's own direction, then the gravest
    order = sorted(by_direction, key=lambda d: (d != first, (*_WITH_NUMBERS, d).index(d)))
    parts: list[str] = []
    for direction in order:
        names, bias = by_direction[direction], "" if parts else "bias "
        # a name with a clause ends in a comma, or the next would be of the clause
        clauses = any(name.endswith(tuple(_BASE.values())) for name in names)
        listed = ", and ".join(names) if clauses else _join(names)
        said: Mapping[Direction, str] = {
            "reversed": f"over-corrected in {listed}, now on the other side of the ideal",
            "unclear": f"{bias}moved in {listed}, not shown to be nearer the ideal",
            "unchanged": f"no change {'' if parts else 'of bias '}shown in {listed}",
            "not comparable": f"nothing is stated of {listed}",
        }
        parts.append(said.get(direction, f"{bias}{WORD[direction]} in {listed}"))
    # a direction that no headline has sums up headlines that went different ways
    mixed = len(order) > 1 and verdict.direction not in (*by_direction, "not comparable")
    together = f"taken together {MEANING[verdict.direction]}: " if mixed else ""
    return together + "; ".join(parts)


def _say_claims(bias: Sequence[Headline]) -> str:
    """As in "not shown to be within 50 ± 3 (stereoset ss and bbq bias) or within 0 ± 0.02 (…)".

    Bias headlines that are shown to be within their margin, those that are not, and those outside.
    """
    by_state: dict[str, dict[str, list[str]]] = {
        "shown to be": {},
        "not shown to be": {},
        "not": {},
    }
    for headline in bias:
        claim = headline.change.claim
        if claim is not None and math.isfinite(claim.low) and math.isfinite(claim.high):
            outside = "not" if _is_outside(claim) else "not shown to be"
            bands = by_state["shown to be" if claim.shown else outside]
            band = margin_text(headline.change, claim)
            if claim.shown and _was_within(headline.change, claim):
                band += ", as before"
            bands.setdefault(band, []).append(_headline_subject(headline))
    parts = []
    for state, bands in by_state.items():
        within = [
            f"within {band} ({_join(names)})" if len(bias) > 1 else f"within {band}"
            for band, names in bands.items()
        ]
        if within:
            parts.append(f"{state} {_join(within, last='or' if 'not' in state else 'and')}")
    return "; ".join(parts)


def _say_ability(verdict: Verdict) -> str:
    """As in "ability lost: …; not shown to be kept: …; shown to be kept: …"."""
    if not verdict.ability:
        return "" if verdict.direction == "not comparable" else "no ability was measured"
    shown: list[Headline] = []
    lost: list[Headline] = []
    unclear: list[Headline] = []
    silent: list[str] = []
    nothing: list[str] = []
    for headline in verdict.ability:
        change = headline.change
        if not headline.could_be_lost:
            nothing.append(f"{_headline_subject(headline)} ({_format_move(change)})")
            continue
        if change.direction == "not comparable":
            silent.append(f"{_headline_subject(headline)} ({_format_move(change)})")
            continue
        kept = change.claim is not None and change.claim.shown
        (shown if kept else lost if change.direction == "worse" else unclear).append(headline)
    parts = [f"nothing is stated of {_join(silent)}"] if silent else []
    if nothing:
        parts.append(
            f"nothing to keep in {_join(nothing)}: before, it was not told from a rule that "
            "understands nothing"
        )
    parts += [f"ability lost: {_join(map(_describe_ability, lost))}"] if lost else []
    parts += [f"not shown to be kept: {_join(map(_describe_ability, unclear))}"] if unclear else []
    if shown:
        every = "shown to be kept" if parts else "every ability shown to be kept"
        listed = [_describe_ability(headline) for headline in shown]
        if len(shown) > _FEW:  # more numbers would hide what matters
            listed = [
                f"{_headline_subject(headline)} (loss under {margin_text(headline.change, claim)})"
                for headline in shown
                if (claim := headline.change.claim) is not None
            ]
        parts.append(f"{every}: {_join(listed)}")
    return "; ".join(parts)


def _describe_ability(headline: Headline) -> str:
    """As in "perplexity +0.4 % [-0.2, 1.0 at 90 %] (loss shown to be under 2 %)"."""
    change, name = headline.change, _headline_subject(headline)
    if change.claim is None or change.direction == "unknown":
        return f"{name} ({describe_change(change)})"
    claimed = _say_claim(change, change.claim).removeprefix("but ").removeprefix("though ")
    return f"{name} {_format_loss(change, change.claim)}" + (f" ({claimed})" if claimed else "")


def _headline_subject(headline: Headline) -> str:
    return subject(headline.change, headline.benchmark)


def _join(parts: Iterable[str], *, last: str = "and") -> str:
    """As in "a, b and c"."""
    words = list(parts)
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
