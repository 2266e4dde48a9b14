"""What any estimate must hold: something behind it, an interval around it, a range, outcomes."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import in_world

from equipoise.benchmarks.genbias import GenBias
from equipoise.checks.values import (
    empty_faults,
    interval_faults,
    range_faults,
    repeated_faults,
)
from equipoise.measure import measure
from equipoise.records import Columns, Estimate, Metric, Outcome
from equipoise.testing import FakeScorer

NAN = math.nan
SOUND = Estimate(
    metric="ss", value=60.0, low=55.0, high=65.0, n=9, clusters=4, unit="%", ideal=50.0
)
RANGE = {"ss": Metric(name="ss", of=lambda _: 0.0, unit="%", source="test", low=0.0, high=100.0)}


def other(**change: object) -> Estimate:
    return replace(SOUND, **change)  # type: ignore[arg-type]


NOTHING = other(value=NAN, low=NAN, high=NAN, n=0, reason="nothing measured")


def test_a_score_of_nothing_is_nan_with_a_reason() -> None:
    assert empty_faults([SOUND, NOTHING, other(value=math.inf, reason="overflow")]) == []
    (fault,) = empty_faults([other(value=50.0, n=0)])
    assert fault.text == "ss of 0 examples must be nan, got 50, which is the ideal"
    (fault,) = empty_faults([other(value=41.0, n=0)])
    assert fault.text == "ss of 0 examples must be nan, got 41"
    (fault,) = empty_faults([replace(NOTHING, reason=None, group={"axis": "age"})])
    assert fault.text == "ss (axis=age) is nan and must give a reason, got none"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"low": 61.0}, r"the value must lie in \[61, 65\], got 60"),
        ({"high": 59.0}, r"the value must lie in \[55, 59\], got 60"),
        ({"low": 66.0}, r"must begin below its end, got \[66, 65\]"),
        ({"low": NAN, "high": NAN}, r"\[nan, nan\] must give a reason, got none"),
        ({"high": math.inf}, r"\[55, inf\] must give a reason"),
        ({"value": NAN, "low": 2.0, "high": 1.0, "reason": "lost"}, "begin below its end"),
    ],
)
def test_what_is_wrong_with_an_interval_is_named(change: dict[str, object], said: str) -> None:
    (fault,) = interval_faults([other(**change)])
    assert re.search(said, fault.text)


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_an_interval_around_a_value_passes(value: float, below: float, above: float) -> None:
    around = other(value=value, low=value - below, high=value + above)
    assert interval_faults([around]) == []
    missing = other(value=value, low=NAN, high=NAN, reason="1 cluster")
    assert interval_faults([missing, NOTHING]) == []


@pytest.mark.parametrize(
    ("value", "faults"), [(0.0, 0), (100.0, 0), (100.0 + 1e-9, 0), (-0.1, 1), (100.1, 1)]
)
def test_a_value_lies_in_the_range_of_its_metric(value: float, faults: int) -> None:
    checked, found = range_faults([other(value=value), NOTHING, other(metric="?")], RANGE)
    assert (checked, len(found)) == (1, faults)
    if found:
        assert found[0].text == f"ss must lie in [0, 100], got {value:g}"


# --- computed again ---------------------------------------------------------------------------

with in_world():
    MEASURED = measure(FakeScorer(nats=lambda c, t: -1.0 - len(c + t) / 9), GenBias(), draws=0)
METRICS = {metric.name: metric for metric in GenBias.metrics}


def test_values_follow_from_the_outcomes() -> None:
    assert repeated_faults(MEASURED, METRICS) == (len(MEASURED.estimates), [])
    assert repeated_faults(replace(MEASURED, outcomes=()), METRICS) == (0, [])
    assert repeated_faults(MEASURED, {}) == (0, [])


def test_a_changed_value_a_changed_n_and_a_changed_outcome_are_named() -> None:
    first, *rest = MEASURED.estimates
    for wrong in (replace(first, value=first.value + 1e-6), replace(first, n=first.n - 1)):
        _, faults = repeated_faults(replace(MEASURED, estimates=(wrong, *rest)), METRICS)
        (fault,) = faults
        assert fault.text.startswith(f"afgb must be {first.value:.6g} of {first.n} examples")
    one = MEASURED.outcomes[0]
    changed = Outcome(example=one.example, values={**one.values, "he": 0.9}, groups=one.groups)
    outcomes = (changed, *MEASURED.outcomes[1:])
    _, faults = repeated_faults(replace(MEASURED, outcomes=outcomes), METRICS)
    assert len(faults) == 3  # overall, its scale, its template


def test_a_metric_that_fails_is_a_warning() -> None:
    def fail(_: Columns) -> float:
        raise KeyError("gone")

    metrics = {"afgb": replace(METRICS["afgb"], of=fail)}
    _, faults = repeated_faults(MEASURED, metrics)
    assert {fault.level for fault in faults} == {"warning"}
    assert faults[0].text == "afgb cannot be computed from its outcomes, got KeyError: 'gone'"
