"""The examples whose answer changed most, with their texts, to be looked at."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from equipoise.benchmarks.base import AnyBenchmark, texts_of
from equipoise.conclusions import ChangedExample, Comparison
from equipoise.errors import DataError
from equipoise.inference.request_hash import hash_requests
from equipoise.metrics.weighted import Weighted, Weights
from equipoise.records import Example, Measurement, Metric, Outcome, Request
from equipoise.stats.pairing import ITEM
from equipoise.stats.resample import columns_of

_SLOT = "{target}"  # of a text that is there with a name, too
_BLOCK = 128  # examples evaluated at once
_UNDEFINED = (ValueError, ZeroDivisionError, KeyError, IndexError)  # of a metric on too little


def with_examples(comparison: Comparison, benchmark: AnyBenchmark, *, count: int) -> Comparison:
    """The comparison with the `count` examples that changed most on its first seed.

    The change is that of the benchmark's first metric on the example alone; ties are broken by how
    far its values moved. Examples without a finite change are left out, and so is every example for
    a metric that is not defined on a single example.
    Raises `DataError` when the benchmark's files are missing.
    """
    before, metric = comparison.before, benchmark.metrics[0]
    after = {outcome.example: outcome for outcome in comparison.after.outcomes}
    both = [(row, after[row.example]) for row in before.outcomes if row.example in after]
    sides = [evaluate_each(metric, [pair[side] for pair in both]) for side in (0, 1)]
    rows = []
    for (outcome, outcome_after), value, changed in zip(both, *sides, strict=True):
        if math.isfinite(changed - value) and changed != value:
            order = (-abs(changed - value), -_largest_move(outcome, outcome_after))
            rows.append((order, outcome.example, value, changed, outcome, outcome_after))
    # the id settles ties, for the outcomes behind it in a row cannot be ordered
    rows.sort(key=lambda row: row[:2])
    known = items_of(before, benchmark)
    changed_examples = []
    for *_, value, changed, outcome, outcome_after in rows[:count]:
        # outcomes of a family of prompts are "ID#0", "ID#1", …, which the benchmark does not know
        example, example_requests = known[outcome.groups.get(ITEM, outcome.example)]
        changed_examples.append(
            ChangedExample(
                example=outcome.example,
                groups=outcome.groups,
                texts=drop_repeats(list(texts_of(benchmark, example, example_requests))),
                metric=metric.name,
                before=value,
                after=changed,
                wrote_before=outcome.text,
                wrote_after=outcome_after.text,
            )
        )
    return replace(comparison, examples=tuple(changed_examples))


def items_of(
    measurement: Measurement, benchmark: AnyBenchmark
) -> dict[str, tuple[Example, Sequence[Request]]]:
    """The examples that were measured and their requests, by id; read again from the files.

    Outcomes keep no texts of the benchmark. Raises `DataError` when its files are missing, or ask
    something else by now.
    """
    from equipoise.measure import choose_examples  # what only looks at outcomes is quick without

    examples, requests = choose_examples(
        benchmark, split=measurement.split, limit=measurement.limit, seed=measurement.seed
    )
    if hash_requests(examples, requests) != measurement.examples_sha256:
        raise DataError(
            f"{measurement.label or measurement.benchmark} must ask what it asked when "
            f"'{measurement.model}' was measured (requests {measurement.examples_sha256[:12]}), "
            "got other requests of its files or options; put those files back, or measure again"
        )
    return {
        example.id: (example, example_requests)
        for example, example_requests in zip(examples, requests, strict=True)
    }


def evaluate_each(metric: Metric, outcomes: Sequence[Outcome]) -> list[float]:
    """The metric of each example alone, in its unit; nan where it needs several.

    As `evaluate_alone` says, bit for bit; most metrics take a block of examples at a time, as draws
    in which a single one of them was drawn.
    """
    if not isinstance(metric.of, Weighted):
        return [evaluate_alone(metric, outcome) for outcome in outcomes]
    values: list[float] = []
    for start in range(0, len(outcomes), _BLOCK):
        block = outcomes[start : start + _BLOCK]
        weights = Weights(np.arange(len(block)), np.eye(len(block)))
        try:
            values += metric.of.values(columns_of(block, cluster=None), weights).tolist()
        except _UNDEFINED:
            values += [math.nan] * len(block)
    # an infinite value spoils its block, and a value that an example lacks has no column alone
    return [
        evaluate_alone(metric, outcome) if math.isnan(value) else value
        for outcome, value in zip(outcomes, values, strict=True)
    ]


def evaluate_alone(metric: Metric, outcome: Outcome) -> float:
    """The metric of a single example, in its unit; nan where it needs several."""
    try:
        return float(metric.of(columns_of([outcome], cluster=None)))
    except _UNDEFINED:
        return math.nan


def _largest_move(before: Outcome, after: Outcome) -> float:
    shared = before.values.keys() & after.values.keys()
    gaps = (abs(after.values[key] - before.values[key]) for key in shared)
    return max(filter(math.isfinite, gaps), default=0.0)


def drop_repeats(texts: list[str]) -> tuple[str, ...]:
    """The texts without repetitions, beginnings of other texts, and forms without a name."""
    # a context is a text of its own, and begins each text that is scored after it
    stripped = dict.fromkeys(text.strip() for text in texts)
    return tuple(
        text
        for text in stripped
        if text
        and _SLOT not in text
        and not any(other != text and other.startswith(text) for other in stripped)
    )
