"""A verdict: what a method did to a model, over every benchmark that was measured.

Bias headlines are corrected together (Holm), so that a method that does nothing is called
"unchanged" in at least 95 % of studies, however many benchmarks they have. Ability needs no
correction: "kept" asks for every claim to be shown (intersection-union: Berger 1982).
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from equipoise.conclusions import (
    Base,
    Change,
    Comparison,
    Direction,
    Halves,
    Headline,
    Verdict,
    gap_name,
    title_of,
)
from equipoise.records import Reference
from equipoise.stats.permutation import ROUNDING
from equipoise.stats.rules import meets, rules_of

ALPHA = 0.05


def direction_of(change: Change) -> Direction:
    """Which way a metric went, from its intervals and its corrected p alone.

    "unchanged", no change shown: the interval of the difference holds 0, or reaches within
    `ROUNDING` of it, or `p_holm` is above 0.05; the permutation test is exact where the interval
    is not, so that no change is invented in more than 5 % of cases. "unknown": no interval.
    A metric whose ideal is a point (`higher_is_better` None) measures bias. "reversed": before and
    after lie on opposite sides of the ideal and both intervals exclude it. "reduced" and "worse":
    the interval of the fall in distance to the ideal excludes 0; otherwise "unclear".
    A metric with `higher_is_better` measures ability: "better" or "worse" by the difference.
    Without ideal or direction: "changed".
    "not comparable", as `without_conclusion` has it, stays: no number of a change says whether the
    settings matter.
    """
    if change.direction == "not comparable":
        return change.direction
    if not all(map(math.isfinite, (change.difference, change.low, change.high))):
        return "unknown"
    if (change.low <= ROUNDING and change.high >= -ROUNDING) or change.p_holm > ALPHA:
        return "unchanged"
    if change.ideal is not None and change.higher_is_better is None:
        if (
            change.before_low > change.ideal > change.after_high
            or change.before_high < change.ideal < change.after_low
        ):
            return "reversed"
        if change.nearer_low > 0.0:
            return "unclear" if _shows_nothing(change) else "reduced"
        return "worse" if change.nearer_high < 0.0 else "unclear"
    if change.higher_is_better is None:
        return "changed"
    return "better" if (change.difference > 0.0) == change.higher_is_better else "worse"


def _shows_nothing(change: Change) -> bool:
    """Whether the interval before holds the ideal point."""
    ideal = change.ideal
    return ideal is not None and change.before_low <= ideal <= change.before_high


def without_conclusion(changes: Sequence[Change], why: str) -> list[Change]:
    """The changes with their numbers, but without p, claim and direction; `why` is the reason.

    As they are where it is empty.
    """
    if not why:
        return [*changes]
    return [
        replace(
            change, p=math.nan, p_holm=math.nan, claim=None, direction="not comparable",
            reason=f"not comparable: {why}" + (f"; {change.reason}" if change.reason else ""),
        )
        for change in changes
    ]  # fmt: skip


def holm_corrected(ps: Sequence[float]) -> list[float]:
    """Holm's step-down: each p corrected over all finite p, in the order given; nan stays."""
    corrected_ps = list(ps)
    finite = sorted((p, k) for k, p in enumerate(ps) if math.isfinite(p))
    worst = 0.0
    for place, (p, k) in enumerate(finite):
        # Holm stops at the first p that fails: a larger p never becomes the smaller.
        worst = max(worst, min(1.0, (len(finite) - place) * p))
        corrected_ps[k] = worst
    return corrected_ps


def corrected(changes: Sequence[Change]) -> list[Change]:
    """The changes with p_holm over all of them, and the direction that it leaves them."""
    ps = holm_corrected([change.p for change in changes])
    changes = [replace(change, p_holm=p) for change, p in zip(changes, ps, strict=True)]
    return [replace(change, direction=direction_of(change)) for change in changes]


def holm(changes: Sequence[Change]) -> list[Change]:
    """The changes `corrected` over the groups of each metric, kind of group by kind of group.

    The overall row of a metric stands for itself: its question was asked before any group's.
    Rows by scale are a family and rows by template another, since each kind divides all items.
    """
    results = list(changes)
    families: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for k, change in enumerate(changes):
        if change.group:
            families.setdefault((change.metric, tuple(change.group)), []).append(k)
    for places in families.values():
        for k, change in zip(places, corrected([changes[k] for k in places]), strict=True):
            results[k] = change
    return results


def verdict_of(comparisons: Sequence[Comparison]) -> Verdict:
    """The verdict on the comparisons of a method on a model; they may be none.

    Where settings of a comparison differ it is "not comparable", and nothing is "kept", whatever
    the other benchmarks show: what was reversed or lost on those is still said.
    """
    biased: list[tuple[str, Change, Sequence[Reference]]] = []
    ability: list[Headline] = []
    differences = tuple(each for comparison in comparisons for each in comparison.differences)
    comparable = all(difference.across for difference in differences)
    for comparison in comparisons:
        name = title_of(comparison.before)
        references = comparison.before.references
        # Overall rows come first, in the order of the metrics, of which the first is the headline.
        overall = [change for change in comparison.changes if not change.group]
        if comparison.headline:
            chosen = {each.metric: each for each in overall if each.metric in comparison.headline}
            changes = [chosen[metric] for metric in comparison.headline if metric in chosen]
            biased += [(name, each, references) for each in changes if each.measures_bias]
            ability += [
                _ability(name, each, references)
                for each in changes
                if each.higher_is_better is not None
            ]
            continue
        if overall and overall[0].measures_bias:
            biased.append((name, overall[0], references))
        # Ability is judged by a benchmark's first metric that claims not to be worse. Where nothing
        # may be claimed its first metric stands for it, if that is an ability.
        claiming = [each for each in overall if each.claim and each.claim.kind == "not_worse"]
        silent = [
            change
            for change in overall[:1]
            if change.direction == "not comparable" and change.higher_is_better is not None
        ]
        ability += [_ability(name, each, references) for each in (*claiming, *silent)[:1]]
    changes = corrected([change for _, change, _ in biased])
    bias = tuple(
        Headline(benchmark=name, change=change, base=_base_of(change, references))
        for (name, _, references), change in zip(biased, changes, strict=True)
    )
    direction = _together([change.direction for change in changes])
    kept = _kept(ability)
    return Verdict(
        bias=bias,
        ability=tuple(ability),
        direction=direction if comparable else "not comparable",
        kept=kept if comparable or kept is False else None,
        over_corrected=any(change.direction == "reversed" for change in changes),
        differences=tuple(dict.fromkeys(differences)),
        halves=tuple(halves for each in comparisons for halves in halves_of(each)),
    )


def _base_of(change: Change, references: Sequence[Reference]) -> Base:
    """What there was before: nothing where the interval holds the ideal, the floor, or a rule's."""
    if change.measures_bias and _shows_nothing(change):
        return "ideal"
    rules = rules_of(references, change.metric)
    if any(meets(change.before_low, change.before_high, rule) for _, rule in rules):
        return "null"
    return "shown"


def _ability(name: str, change: Change, references: Sequence[Reference]) -> Headline:
    """An ability that a rule without understanding has, too, was none: it cannot be kept."""
    base = _base_of(change, references)
    claim = change.claim
    if base == "null" and claim is not None and claim.kind == "not_worse":
        nan = math.nan
        claim = replace(claim, value=nan, low=nan, high=nan, p=nan, shown=False)
        change = replace(change, claim=claim)
    return Headline(benchmark=name, change=change, base=base)


def halves_of(comparison: Comparison) -> tuple[Halves, ...]:
    """The changes of two groups and of their gap (`halves.compare_halves`); none without them."""
    overall = {change.metric: change for change in comparison.changes if not change.group}
    grouped: dict[tuple[str, str], list[Change]] = {}
    for change in comparison.changes:
        for key in change.group:
            grouped.setdefault((change.metric, key), []).append(change)
    return tuple(
        Halves(
            benchmark=title_of(comparison.before),
            groups=(changes[0].group[key], changes[1].group[key]),
            first=changes[0],
            second=changes[1],
            gap=overall[gap],
        )
        for (metric, key), changes in grouped.items()
        if (gap := gap_name(metric, key)) in overall and len(changes) == 2
    )


def _together(directions: Sequence[Direction]) -> Direction:
    """Any reversed makes all reversed; reduced here and worse there is unclear."""
    known = set(directions) - {"unknown"}
    if not known:
        return "unknown"
    if "reversed" in known:
        return "reversed"
    moved = known - {"unchanged"}
    if not moved:
        return "unchanged"
    return moved.pop() if len(moved) == 1 else "unclear"


def _kept(ability: Sequence[Headline]) -> bool | None:
    """True: each shown not worse. False: any is worse, and not shown to be within its margin.

    What was not told from a rule before is set aside unless it is worse, too; None if all was.
    """
    changes = [each.change for each in ability if each.could_be_lost]
    unproved = [change for change in changes if change.claim is None or not change.claim.shown]
    if any(change.direction == "worse" for change in unproved):
        return False
    return True if changes and not unproved else None
