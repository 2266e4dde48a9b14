"""A verdict: what a method did to a model, over every benchmark that was measured.

Bias headlines are corrected together (Holm), so that a method that does nothing is called
"unchanged" in at least 95 % of studies, however many benchmarks they have. Ability needs no
correction: "kept" asks for every claim to be shown (intersection-union: Berger 1982).
"""

from collections.abc import Sequence

from equipoise.conclusions import Change, Comparison, Direction, Headline, Verdict
from equipoise.stats.directions import corrected


def verdict_of(comparisons: Sequence[Comparison]) -> Verdict:
    """The verdict on the comparisons of one method on one model; they may be none."""
    first = [
        (comparison.before.benchmark, comparison.changes[0])
        for comparison in comparisons
        if comparison.changes
    ]
    biased = [(name, change) for name, change in first if change.measures_bias]
    changes = corrected([change for _, change in biased])
    bias = tuple(
        Headline(benchmark=name, change=change)
        for (name, _), change in zip(biased, changes, strict=True)
    )
    judged = [
        (comparison, [row for row in comparison.changes if _judged_ability(row)])
        for comparison in comparisons
    ]
    ability = tuple(
        Headline(benchmark=comparison.before.benchmark, change=rows[0])
        for comparison, rows in judged
        if rows
    )
    return Verdict(
        bias=bias,
        ability=ability,
        direction=_together([bia.change.direction for bia in bias]),
        kept=_kept([headline.change for headline in ability]),
        over_corrected=any(bia.change.direction == "reversed" for bia in bias),
    )


def _judged_ability(change: Change) -> bool:
    claim = change.claim
    return not change.group and claim is not None and claim.kind == "not_worse"


def _together(directions: Sequence[Direction]) -> Direction:
    """One reversed makes all reversed; reduced here and worse there is unclear."""
    known = set(directions) - {"unknown"}
    if not known:
        return "unknown"
    if "reversed" in known:
        return "reversed"
    moved = known - {"unchanged"}
    if not moved:
        return "unchanged"
    return moved.pop() if len(moved) == 1 else "unclear"


def _kept(changes: Sequence[Change]) -> bool | None:
    """True: each shown not worse. False: one is worse, and not shown to be within its margin."""
    shown = [change.claim is not None and change.claim.shown for change in changes]
    if any(
        change.direction == "worse" and not ok for change, ok in zip(changes, shown, strict=True)
    ):
        return False
    return True if shown and all(shown) else None
