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

    The change is that of the benchmark's first metric on the example alone; ties are broken by how
    far its values moved. Examples without a finite change are left out, and so is every example for
    a metric that is not defined on a single example.
    Raises `DataError` when the benchmark's files are missing.
    """
    before, after = comparison.before, comparison.after
    ranked = _rank_changes(benchmark.metrics[0], before.outcomes, after.outcomes)[:count]
    examples, requests = choose_examples(
        benchmark, split=before.split, limit=before.limit, seed=before.seed
    )
    known = {
        example.id: (example, example_requests)
        for example, example_requests in zip(examples, requests, strict=True)
    }
    changed_examples = []
    for (value, changed), outcome, outcome_after in ranked:
        example, example_requests = known[outcome.groups.get(ITEM, outcome.example)]
        changed_examples.append(
            ChangedExample(
                example=outcome.example,
                groups=outcome.groups,
                texts=_drop_repeats(list(texts_of(benchmark, example, example_requests))),
                metric=benchmark.metrics[0].name,
                before=value,
                after=changed,
                wrote_before=outcome.text,
                wrote_after=outcome_after.text,
            )
        )
    return replace(comparison, examples=tuple(changed_examples))


def _rank_changes(
    metric: Metric, before: Sequence[Outcome], after: Sequence[Outcome]
) -> list[tuple[tuple[float, float], Outcome, Outcome]]:
    by_example = {outcome.example: outcome for outcome in after}
    rows = []
    for outcome in before:
        outcome_after = by_example.get(outcome.example)
        if outcome_after is None:
            continue
        value, changed = _evaluate_alone(metric, outcome), _evaluate_alone(metric, outcome_after)
        if math.isfinite(changed - value) and changed != value:
            rows.append(((value, changed), outcome, outcome_after))
    rows.sort(
        key=lambda row: (
            -abs(row[0][1] - row[0][0]),
            -_largest_move(row[1], row[2]),
            row[1].example,
        )
    )
    return rows


def _evaluate_alone(metric: Metric, outcome: Outcome) -> float:
    """The metric of a single example; nan where it needs several."""
    columns: Mapping[str, Column] = columns_of([outcome], cluster=None)
    try:
        return float(metric.of(columns))
    except (ValueError, ZeroDivisionError, KeyError, IndexError):
        return math.nan


def _largest_move(before: Outcome, after: Outcome) -> float:
    gaps = [
        abs(after.values[key] - value)
        for key, value in before.values.items()
        if key in after.values
    ]
    return max((gap for gap in gaps if math.isfinite(gap)), default=0.0)


def _drop_repeats(texts: list[str]) -> tuple[str, ...]:
    """The texts without repetitions and without beginnings of other texts."""
    stripped = dict.fromkeys(text.strip() for text in texts)
    return tuple(
        text
        for text in stripped
        if text and not any(other != text and other.startswith(text) for other in stripped)
    )
