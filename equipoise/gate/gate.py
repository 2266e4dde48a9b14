"""Whether a result shows what is required of it.

A requirement holds when the whole 95 % interval lies where the value must lie: a value inside is no
proof. Of all groups each must hold, which needs no correction for their number (intersection-union
test: Berger 1982, Technometrics 24(4)). What could not be measured shows nothing, and fails.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from equipoise.conclusions import model_title
from equipoise.errors import RecipeError, nearest
from equipoise.gate.requirement import Requirement
from equipoise.number_text import group_name, interval, numbers
from equipoise.records import Estimate, Measurement
from equipoise.report.formatting import visible
from equipoise.study.lm_eval_format import keys_of

#: "fails": the interval lies outside; "not shown": it reaches outside.
State: TypeAlias = Literal["holds", "fails", "not shown", "not measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a result says of a requirement, for a number."""

    requirement: str
    model: str
    benchmark: str  # as the result calls it: "stereoset", "stereoset#2"
    name: str  # as in "stereoset.ss (axis gender)"
    estimate: Estimate
    low: float  # where the interval must lie
    high: float
    state: State
    sentence: str

    @property
    def holds(self) -> bool:
        """Whether the requirement is met."""
        return self.state == "holds"


def judge_results(
    measurements: Sequence[Measurement], requirements: Iterable[Requirement]
) -> list[Ruling]:
    """A ruling per number that is required, in the order of the requirements.

    Raises `RecipeError` with the nearest name for a metric, key or group that the result has not.
    """
    keyed = dict(zip(keys_of(measurements), measurements, strict=True))
    return [
        _judge(requirement, key, model_title(keyed[key]), estimate)
        for requirement in requirements
        for key, estimate in _required_numbers(requirement, keyed)
    ]


def _required_numbers(
    requirement: Requirement, keyed: Mapping[str, Measurement]
) -> Iterator[tuple[str, Estimate]]:
    for key, metric in _find_metrics(requirement, keyed):
        estimates = [row for row in keyed[key].estimates if row.metric == metric]
        name = f"{key}.{metric}"
        if requirement.every_group:
            chosen = _choose_groups(requirement, estimates, name)
        else:
            group = dict(requirement.group)
            chosen = [row for row in estimates if dict(row.group) == group]
            if not chosen:
                known = {_group_text(row) for row in estimates if row.group}
                text = ",".join(f"{key}={name}" for key, name in sorted(group.items()))
                raise RecipeError(
                    f"{requirement.where}: {name} must have what is required of it, it has no "
                    f"{'group ' + text if text else 'overall value'}; {nearest(text, known)}"
                )
        yield from ((key, row) for row in chosen)


def _find_metrics(
    requirement: Requirement, keyed: Mapping[str, Measurement]
) -> list[tuple[str, str]]:
    """Keys of the measurements meant, each with its metric: all of a benchmark of that name."""
    if requirement.metric is None:
        if len(keyed) != 1:
            raise RecipeError(
                f"{requirement.where}: a metric must be named where there is not a single "
                f"benchmark, got {', '.join(keyed) or 'none'}; write 'no group of NAME.METRIC ...'"
            )
        ((key, measurement),) = keyed.items()
        return [(key, row.metric) for row in measurement.estimates[:1]]
    named: dict[str, list[tuple[str, str]]] = {}
    for key, measurement in keyed.items():
        for name in {key, key.partition("#")[0], measurement.benchmark}:
            for metric in dict.fromkeys(row.metric for row in measurement.estimates):
                named.setdefault(f"{name}.{metric}", []).append((key, metric))
    if requirement.metric not in named:
        whole = [name for name in named if name.rpartition(".")[2] == requirement.metric]
        remedy = f"write {' or '.join(whole)}" if whole else nearest(requirement.metric, named)
        raise RecipeError(
            f"{requirement.where}: the result has no metric '{requirement.metric}'; {remedy}"
        )
    return named[requirement.metric]


def _choose_groups(
    requirement: Requirement, estimates: Sequence[Estimate], name: str
) -> list[Estimate]:
    grouped = [row for row in estimates if row.group]
    by = requirement.by
    keys = {key for row in grouped if len(row.group) == 1 for key in row.group}
    chosen = [row for row in grouped if by is None or [*row.group] == [by]]
    if not chosen:
        remedy = nearest(by or "", keys) if keys else "require something of its overall value"
        raise RecipeError(
            f"{requirement.where}: {name} must have groups, it has none"
            f"{'' if by is None else f' by {by!r}'}; {remedy}"
        )
    return chosen


def _group_text(row: Estimate) -> str:
    return ",".join(f"{key}={name}" for key, name in sorted(row.group.items()))


def _find_bounds(requirement: Requirement, row: Estimate, name: str) -> tuple[float, float]:
    """Where the interval must lie."""
    worst = requirement.worse
    if worst is None:
        return requirement.low, requirement.high
    if row.higher_is_better is not None:
        return (worst, math.inf) if row.higher_is_better else (-math.inf, worst)
    if row.ideal is None:
        raise RecipeError(
            f"{requirement.where}: 'worse than' needs a metric with an ideal or a direction, got "
            f"{name}, which has none; write 'outside A..B'"
        )
    # from the other end, not by distance: 50 + (50 - 40.1) is not 59.9
    other = row.ideal + (row.ideal - worst)
    return min(worst, other), max(worst, other)


def _judge(requirement: Requirement, key: str, model: str, row: Estimate) -> Ruling:
    name = f"{key}.{row.metric}"
    low, high = _find_bounds(requirement, row, name)
    state: State = "not measured"
    if math.isnan(row.value):
        reason = visible(row.reason or "no reason is given")
        said = f"could not be measured (n = {row.n:,}): {reason}"
    elif math.isnan(row.low) or math.isnan(row.high):
        said = f"{numbers(row.value)[0]} has no 95 % interval (n = {row.n:,}): nothing is shown"
    else:
        state, place = _compare_interval(row, low, high)
        span = interval(row.value, row.low, row.high)
        unit = f" {row.unit}" if row.unit else ""
        said = f"{span}{unit} (95 %, n = {row.n:,}) {place}"
    group = f" ({group_name(row.group)})" if row.group else ""
    return Ruling(
        requirement=requirement.text,
        model=model,
        benchmark=key,
        name=visible(name + group),
        estimate=row,
        low=low,
        high=high,
        state=state,
        sentence=f"{visible(name + group)}: {said}",
    )


def _compare_interval(row: Estimate, low: float, high: float) -> tuple[State, str]:
    span = _name_span(low, high)
    if low <= row.low and row.high <= high:
        return "holds", f"lies {span}"
    if row.low > high:
        return "fails", f"lies above {high:g}"
    if row.high < low:
        return "fails", f"lies below {low:g}"
    above, below = row.high > high, row.low < low
    beyond = [f"above {high:g}"] * above + [f"below {low:g}"] * below
    return "not shown", f"reaches {' and '.join(beyond)}, so it is not shown to lie {span}"


def _name_span(low: float, high: float) -> str:
    if math.isinf(low):
        return f"at or below {high:g}"
    return f"at or above {low:g}" if math.isinf(high) else f"within {low:g}..{high:g}"
