"""The examples whose answer changed most, with their texts, to be looked at."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from equipoise.benchmarks.base import AnyBenchmark, texts_of
from equipoise.conclusions import ChangedExample, Comparison
from equipoise.measure import choose_examples
from equipoise.records import Column, Metric, Outcome
from equipoise.stats.pairing import ITEM
from equipoise.stats.resample import columns_of


def with_examples(comparison: Comparison, benchmark: AnyBenchmark, *, count: int) -> Comparison:
    """The comparison with the `count` examples that changed most on its first seed.

    Change is that of the benchmark's first metric on the example alone; among equal changes the
    one whose values moved farther comes first. Examples without a finite change are left out, and
    so is all of it for a metric that single examples do not have.
    Raises `DataError` when the benchmark's files are missing.
    """
    before, after = comparison.before, comparison.after
    ranked = _ranked(benchmark.metrics[0], before.outcomes, after.outcomes)[:count]
    examples, requests = choose_examples(
        benchmark, split=before.split, limit=before.limit, seed=before.seed
    )
    known = {example.id: (example, own) for example, own in zip(examples, requests, strict=True)}
    found = []
    for (value, changed), one, other in ranked:
        example, own = known[one.groups.get(ITEM, one.example)]
        found.append(
            ChangedExample(
                example=one.example,
                groups=one.groups,
                texts=_shown(list(texts_of(benchmark, example, own))),
                metric=benchmark.metrics[0].name,
                before=value,
                after=changed,
                wrote_before=one.text,
                wrote_after=other.text,
            )
        )
    return replace(comparison, examples=tuple(found))


def _ranked(
    metric: Metric, before: Sequence[Outcome], after: Sequence[Outcome]
) -> list[tuple[tuple[float, float], Outcome, Outcome]]:
    twins = {one.example: one for one in after}
    rows = []
    for one in before:
        other = twins.get(one.example)
        if other is None:
            continue
        value, changed = _alone(metric, one), _alone(metric, other)
        if math.isfinite(changed - value) and changed != value:
            rows.append(((value, changed), one, other))
    rows.sort(
        key=lambda row: (-abs(row[0][1] - row[0][0]), -_moved(row[1], row[2]), row[1].example)
    )
    return rows


def _alone(metric: Metric, outcome: Outcome) -> float:
    """The metric of one example; its cluster and groups have no others beside it."""
    columns: Mapping[str, Column] = columns_of([outcome], cluster=None)
    try:
        return float(metric.of(columns))
    except (ValueError, ZeroDivisionError, KeyError, IndexError):
        return math.nan


def _moved(before: Outcome, after: Outcome) -> float:
    gaps = [
        abs(after.values[key] - value)
        for key, value in before.values.items()
        if key in after.values
    ]
    return max((gap for gap in gaps if math.isfinite(gap)), default=0.0)


def _shown(texts: list[str]) -> tuple[str, ...]:
    """The texts without repetitions, and without those that are only the beginning of another."""
    stripped = dict.fromkeys(text.strip() for text in texts)
    return tuple(
        one
        for one in stripped
        if one and not any(other != one and other.startswith(one) for other in stripped)
    )
