"""The changes of a comparison as its verdict has them: headlines corrected over all benchmarks."""

from equipoise.conclusions import Change, Comparison, Verdict


def judged(comparison: Comparison, verdict: Verdict) -> tuple[Change, ...]:
    """The changes, with p_holm and direction of the verdict where it rests on one of them.

    So that a page does not call "reduced" in one place what its verdict calls "no change shown".
    """
    corrected = {
        _key(one.benchmark, one.change): one.change for one in (*verdict.bias, *verdict.ability)
    }
    benchmark = comparison.before.benchmark
    return tuple(
        one if one.group else corrected.get(_key(benchmark, one), one) for one in comparison.changes
    )


def _key(benchmark: str, change: Change) -> tuple[object, ...]:
    """As two comparisons of one benchmark, asked in two ways, may have the same metric."""
    values = (change.before, change.after, change.low, change.high)
    return benchmark, change.metric, change.n, tuple(map(repr, values))
