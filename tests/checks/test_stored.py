"""Results of a file that was edited: what cannot be is named."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.checks.stored import change_faults, estimate_faults
from equipoise.conclusions import Change
from equipoise.records import Estimate, Metric

NAN = math.nan
SOUND = Estimate(
    metric="ss", value=60.0, low=55.0, high=65.0, n=9, clusters=4, unit="%", ideal=50.0
)
NOTHING = replace(SOUND, value=NAN, low=NAN, high=NAN, n=0, reason="nothing measured")
RANGE = {"ss": Metric(name="ss", of=lambda _: 0.0, unit="%", source="t", low=0.0, high=100.0)}
CHANGE = Change(
    metric="afgb", before=0.3, before_low=0.2, before_high=0.4, after=0.1, after_low=0.05,
    after_high=0.15, difference=0.1 - 0.3, low=-0.3, high=-0.1, nearer=0.2, nearer_low=0.1,
    nearer_high=0.3, effect=1.0, p=0.01, p_holm=0.01, direction="reduced", n=9, clusters=9,
    unit="probability", ideal=0.0,
)  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"value": 65.0},
        {"low": NAN, "high": NAN, "reason": "1 cluster"},
        {"value": math.inf, "low": NAN, "high": NAN, "reason": "overflow", "metric": "other"},
        {"value": 100.0 + 1e-9, "high": 100.0 + 1e-9},
    ],
)
def test_possible_values_pass(change: dict[str, object]) -> None:
    rows = [replace(SOUND, **change), NOTHING]  # type: ignore[arg-type]
    assert [*estimate_faults(rows, RANGE)] == []


@pytest.mark.parametrize(
    "change",
    [
        {"n": 0},  # a score of nothing is nan, not the ideal
        {"value": NAN},
        {"low": 61.0},
        {"high": 59.0},
        {"low": 66.0},
        {"low": NAN, "high": NAN},
        {"high": math.inf},
        {"low": 2.0, "high": 1.0, "value": NAN, "reason": "lost"},
        {"value": 100.1, "high": 101.0},
        {"value": -0.1, "low": -1.0},
    ],
)
def test_impossible_values_are_errors(change: dict[str, object]) -> None:
    wrong = replace(SOUND, **change)  # type: ignore[arg-type]
    (fault,) = estimate_faults([SOUND, wrong], RANGE)
    assert fault.text.startswith("ss")
    assert fault.level == "error"


@pytest.mark.thorough
@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_an_interval_around_a_value_passes(value: float, below: float, above: float) -> None:
    around = replace(SOUND, value=value, low=value - below, high=value + above)
    assert [*estimate_faults([around], {})] == []


@pytest.mark.parametrize(
    ("before", "after", "printed"), [(0.0804, 0.1456, 0.652), (0.3895, 0.3673, -0.2965)]
)
def test_errors_in_the_published_ablation_table_of_lftf(
    before: float, after: float, printed: float
) -> None:
    wide = {"before_low": 0.0, "before_high": 1.0, "after_low": 0.0, "after_high": 1.0}
    row = replace(
        CHANGE, **wide, before=before, after=after, difference=printed, low=-1.0, high=1.0,
        direction="unchanged",
    )  # fmt: skip
    assert len([*change_faults([row])]) == 1
    assert [*change_faults([replace(row, difference=after - before)])] == []


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({}, 0),
        ({"direction": "worse"}, 1),
        ({"p_holm": 0.2}, 1),
        ({"p_holm": 0.2, "direction": "unchanged"}, 0),
        ({"before_low": 0.35}, 1),
        ({"after_high": 0.0, "after_low": -0.1}, 1),
        ({"low": -0.1}, 1),
        ({"difference": NAN, "direction": "unknown", "reason": "lost"}, 1),
    ],
)
def test_inconsistent_change_is_an_error(change: dict[str, object], count: int) -> None:
    assert len([*change_faults([replace(CHANGE, **change)])]) == count  # type: ignore[arg-type]


def test_value_missing_on_one_side_has_no_difference() -> None:
    lost = replace(
        CHANGE, before=NAN, difference=NAN, nearer=NAN, direction="unknown", reason="not defined"
    )
    assert [*change_faults([lost])] == []
    assert [*change_faults([replace(lost, reason=None)])] != []
