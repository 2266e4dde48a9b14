"""The changes of a comparison as its verdict has them: headlines corrected over all benchmarks."""

from equipoise.conclusions import Change, Comparison, Verdict


def judged(comparison: Comparison, verdict: Verdict) -> tuple[Change, ...]:
    """The changes, with p_holm and direction of the verdict where it rests on one of them.

    So that a page does not call "reduced" in one place what its verdict calls "no change shown".
    """
    corrected = {
        _key(bia.benchmark, bia.change): bia.change for bia in (*verdict.bias, *verdict.ability)
    }
    benchmark = comparison.before.benchmark
    return tuple(
        change if change.group else corrected.get(_key(benchmark, change), change)
        for change in comparison.changes
    )


def _key(benchmark: str, change: Change) -> tuple[object, ...]:
    """As two comparisons of one benchmark, asked in two ways, may have the same metric."""
    values = (change.before, change.after, change.low, change.high)
    return benchmark, change.metric, change.n, tuple(map(repr, values))
