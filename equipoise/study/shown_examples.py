"""Single examples of a measurement, the farthest from unbiased first, with what was asked."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from equipoise import plugins
from equipoise.benchmarks.base import Benchmark, texts_of
from equipoise.errors import RecipeError, nearest
from equipoise.records import Measurement, Metric, Outcome
from equipoise.stats.pairing import ITEM
from equipoise.study.changed_examples import drop_repeats, evaluate_each, items_of

MARGIN: Final = "margin"  # how much the stereotype is preferred by, where a benchmark has it


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownExample:
    """What a model said of an example."""

    example: str
    groups: Mapping[str, str]
    values: Mapping[str, float]  # nan: not measurable
    by: float  # what it is ordered by
    before: Mapping[str, float] | None  # the values of the other model, where there is another
    texts: tuple[str, ...]  # what was asked; empty: not wanted
    wrote: str | None
    wrote_before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownExamples:
    """Examples of a measurement in their order."""

    measurement: Measurement
    order: str  # what they are ordered by: a sentence's part
    of: int  # examples that were to choose from
    without: int  # of these, without a finite value to be ordered by
    examples: tuple[ShownExample, ...]


def show_examples(
    measurement: Measurement,
    *,
    count: int,
    by: str | None = None,
    groups: Mapping[str, str] | None = None,
    least: bool = False,
    before: Measurement | None = None,
    texts: bool = False,
) -> ShownExamples:
    """The `count` examples of a measurement that say most, the first first; ties go by id.

    They are ordered by the value `by` of an example, from the largest; without it by "margin" where
    the benchmark has one, and else by how far its first metric, of the example alone, is from the
    ideal. With `before`, the same examples of another model, by how much that moved. `least` turns
    the order round. `groups` must all be an example's. `texts`: also what was asked, which is read
    again from the benchmark's files.
    Raises `RecipeError` for a value or group that no example has, and `DataError` when texts are
    wanted and the files are missing or ask something else by now.
    """
    chosen = [row for row in measurement.outcomes if _is_in(row, groups or {})]
    if not chosen:
        raise RecipeError(_no_such_group(measurement, groups or {}))
    benchmark = plugins.build(Benchmark, measurement.benchmark, measurement.options)
    strengths, order = _order_by(measurement, benchmark.metrics[0], by)
    others: Mapping[str, Outcome] = {}
    if before is not None:
        others = {row.example: row for row in before.outcomes}
        chosen = [row for row in chosen if row.example in others]
        if not chosen:
            raise RecipeError(
                f"both results of {measurement.benchmark} must have examples in common, got none; "
                "name results of the same examples"
            )
        order = f"how much {order} moved"
    ranks = strengths(chosen)
    if before is not None:
        unmoved = strengths([others[row.example] for row in chosen])
        ranks = [abs(value - other) for value, other in zip(ranks, unmoved, strict=True)]
    finite = [
        (value, row) for value, row in zip(ranks, chosen, strict=True) if math.isfinite(value)
    ]
    finite.sort(key=lambda each: (each[0] if least else -each[0], each[1].example))
    items = items_of(measurement, benchmark) if texts else {}
    shown = []
    for value, row in finite[:count]:
        other = others.get(row.example)
        asked: Iterable[str] = ()
        if texts:
            # outcomes of a family of prompts are "ID#0", "ID#1", …, which the benchmark knows not
            example, requests = items[row.groups.get(ITEM, row.example)]
            asked = texts_of(benchmark, example, requests)
        shown.append(
            ShownExample(
                example=row.example,
                groups=row.groups,
                values=row.values,
                by=value,
                before=None if other is None else other.values,
                texts=drop_repeats(list(asked)),
                wrote=row.text,
                wrote_before=None if other is None else other.text,
            )
        )
    return ShownExamples(
        measurement=measurement,
        order=order + (", the least first" if least else ""),
        of=len(chosen),
        without=len(chosen) - len(finite),
        examples=tuple(shown),
    )


def _is_in(outcome: Outcome, groups: Mapping[str, str]) -> bool:
    return all(outcome.groups.get(key) == name for key, name in groups.items())


def _no_such_group(measurement: Measurement, groups: Mapping[str, str]) -> str:
    """Which key, or which of its groups, no example has."""
    for key, name in groups.items():
        known = sorted({row.groups[key] for row in measurement.outcomes if key in row.groups})
        if not known:
            keys = sorted({key for row in measurement.outcomes for key in row.groups})
            return (
                f"a group of {measurement.benchmark} must name what its examples are grouped by, "
                f"got '{key}'; {nearest(key, keys)}"
            )
        if name not in known:
            return (
                f"{key} of {measurement.benchmark} must be a group that was measured "
                f"({len(known)} are), got '{name}'; {nearest(name, known)}"
            )
    return (
        f"examples of {measurement.benchmark} must be in all groups that are named, got "
        f"{' and '.join(f'{key}={name}' for key, name in groups.items()) or 'no example at all'}, "
        "which none is; name fewer"
    )


def _order_by(
    measurement: Measurement, metric: Metric, by: str | None
) -> tuple[Callable[[Sequence[Outcome]], list[float]], str]:
    """What examples are ordered by, from the largest, and what that is called."""
    names = sorted({name for row in measurement.outcomes for name in row.values})
    if by is not None and by not in names:
        raise RecipeError(
            f"a value of {measurement.benchmark}'s examples must be there to order by, got '{by}'; "
            f"{nearest(by, names)}"
        )
    if by is not None or MARGIN in names:
        chosen = by or MARGIN
        return (lambda rows: [row.values.get(chosen, math.nan) for row in rows]), chosen
    if metric.ideal is not None:
        ideal = metric.ideal
        return (
            lambda rows: [abs(value - ideal) for value in evaluate_each(metric, rows)]
        ), f"the distance of {metric.name} from its ideal"
    sign = -1.0 if metric.higher_is_better else 1.0
    side = "low" if metric.higher_is_better else "high"
    return (
        lambda rows: [sign * value for value in evaluate_each(metric, rows)]
    ), f"how {side} {metric.name} is"
