"""Measurements of several models: made with the same settings, but not with the same answers.

Models that answer alike to the last digit are the same model measured twice, or a copy. An edit
that was never attached gives its base's numbers, as an issue of bias-bench reports of its debiased
models; LFTF's table has two pairs of models with the same five numbers.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from equipoise.checks.faults import Fault, Level
from equipoise.conclusions import Comparison
from equipoise.records import Measurement
from equipoise.stats.settings import unrecorded

_ROUNDING = 1e-6  # as stored values differ when a model is asked in other batches

#: Settings in `model_info`.
_MODEL = ("dtype", "device", "matmul", "threads", "attention", "prefix", "start_token")

#: Those of them that a difference of a comparison is about.
_STATED = dict.fromkeys(("start", "chat"), ("prefix", "start_token")) | {"dtype": ("dtype",)}

Values = Mapping[tuple[str, str], float]


def same_setting(measurements: Sequence[Measurement]) -> list[list[Measurement]]:
    """Measurements of several models that asked the same, each model once."""
    by_setting: dict[str, dict[str, Measurement]] = {}
    for measurement in measurements:
        which = (measurement.benchmark, measurement.version, measurement.split)
        key = repr((*which, measurement.examples_sha256, sorted(measurement.options.items())))
        # once, or a model that was measured with two seeds would be named as a copy of itself
        by_setting.setdefault(key, {}).setdefault(measurement.model, measurement)
    return [list(models.values()) for models in by_setting.values() if len(models) > 1]


def identical_faults(measurements: Sequence[Measurement]) -> list[Fault]:
    """Every pair of models with the same value everywhere. They must have been asked the same.

    Values are those of the outcomes, or of the estimates where a side has no outcomes. An error
    where the models have different bases and the values are no mere counts, which may agree by
    chance; else a warning: an edit may be meant to change nothing.
    """
    faults = []
    for left, right in itertools.combinations(measurements, 2):
        by_outcomes = bool(left.outcomes and right.outcomes)
        first, second = (_read_values(side, by_outcomes=by_outcomes) for side in (left, right))
        if not _are_equal(first, second):
            continue
        finite = [value for value in first.values() if math.isfinite(value)]
        # of single examples: 0 or 1, and 0.5 for a tie
        counts = all(value * 2 == round(value * 2) for value in finite)
        level: Level = "warning"
        if _find_base(left) == _find_base(right):
            why = "the edit changes nothing here, or was not attached"
        elif counts:
            why = "counts may agree by chance"
        else:
            why, level = "one was measured as the other, or copied", "error"
        what = f"outcomes of {len(left.outcomes)} examples" if by_outcomes else "estimates"
        alike = f"{left.model} and {right.model} have the same {len(finite)} values in all {what}"
        faults.append(Fault(f"{alike}: {why}", level))
    return faults


def _read_values(measurement: Measurement, *, by_outcomes: bool) -> Values:
    if by_outcomes:
        return {
            (outcome.example, key): value
            for outcome in measurement.outcomes
            for key, value in outcome.values.items()
        }
    return {
        (estimate.metric, repr(sorted(estimate.group.items()))): estimate.value
        for estimate in measurement.estimates
    }


def _are_equal(left: Values, right: Values) -> bool:
    """Whether all values agree but for rounding, and any is finite."""
    if left.keys() != right.keys():
        return False
    first = np.array(list(left.values()))
    second = np.array([right[key] for key in left])
    close = np.allclose(first, second, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True)
    return bool(close and np.isfinite(first).any())


def _find_base(measurement: Measurement) -> str:
    """Which weights, or which file, whatever it is called and whatever edit sits on it."""
    if measurement.model_info.get("kind") == "predictions":
        return str([measurement.model_info.get(key) for key in ("sha256", "column")])
    # an identity is NAME@REVISION, then +METHOD:CONTENT for each edit; one revision, one base
    name, _, revision = measurement.model.partition("+")[0].rpartition("@")
    return revision or name


def alike_faults(comparison: Comparison) -> tuple[int, list[Fault]]:
    """(settings compared, those that differ or that a side does not record).

    A difference is a warning: last digits of float32 depend on threads and libraries. What the
    comparison itself says of start token and number format is not repeated.
    """
    measurements = comparison.sides
    stated = {key for each in comparison.differences for key in _STATED.get(each.name, ())}
    settings: dict[str, set[str]] = {}
    for measurement in measurements:
        info = {
            key: measurement.model_info[key]
            for key in _MODEL
            if key in measurement.model_info and key not in stated
        }
        for name, value in [*measurement.environment.items(), *info.items()]:
            settings.setdefault(name, set()).add(str(value))
    return len(settings), [
        Fault(
            f"{name} was {' and '.join(sorted(values))} in measurements that are compared",
            "warning",
        )
        for name, values in sorted(settings.items())
        if len(values) > 1
    ] + [
        Fault(f"{name} is recorded by some of the measurements that are compared alone", "warning")
        for name in unrecorded(measurements)
    ]
