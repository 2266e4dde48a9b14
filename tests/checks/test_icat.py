"""ICAT against LMS and SS: by hand, of published tables, and where it does not apply."""

import math
from dataclasses import replace

import pytest

from equipoise.checks.arithmetic import icat_faults, icat_of
from equipoise.records import Estimate, Measurement, Outcome

ROUNDED = 0.02  # of a result printed with two decimals, from scores printed with two


def estimate(metric: str, value: float, n: int = 4, **group: str) -> Estimate:
    return Estimate(
        metric=metric, value=value, low=value, high=value, n=n, clusters=2, unit="%", group=group
    )


def measurement(*estimates: Estimate) -> Measurement:
    return Measurement(
        model="m", benchmark="b", version="1", options={}, split="dev", seed=0, draws=0,
        limit=None, examples_sha256="", data=(), model_info={}, environment={}, cluster=None,
        estimates=estimates,
        outcomes=tuple(
            Outcome(example=f"{axis}{number}", values={}, groups={"axis": axis, "task": "intra"})
            for axis in ("gender", "race")
            for number in range(2)
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lms", "ss", "icat"),
    [(100, 50, 100), (100, 0, 0), (100, 100, 0), (50, 50, 50), (80, 60, 64), (80, 40, 64)],
)
def test_by_hand(lms: float, ss: float, icat: float) -> None:
    assert icat_of(lms, ss) == pytest.approx(icat)


@pytest.mark.parametrize(("lms", "ss"), [(math.nan, 50.0), (80.0, math.nan)])
def test_icat_of_nan_or_impossible_scores_is_nan(lms: float, ss: float) -> None:
    assert math.isnan(icat_of(lms, ss))


@pytest.mark.parametrize(
    ("lms", "ss", "printed", "right"),
    [
        (92.26, 65.19, 64.23, True),  # Mistral-7B, base
        (94.08, 67.69, 60.80, True),  # Llama3-8B, base
        (92.26 - 13.56, 45.93, 60.81, False),  # Mistral-7B, BiasEdit: exchanged, it seems,
        (94.08 - 26.07, 45.20, 72.79, False),  # Llama3-8B, BiasEdit: ... with this
        (92.26 - 1.42, 49.92, 91.71, False),  # Mistral-7B, BiasUnlearn
        (94.08 - 0.40, 51.71, 89.09, False),  # Llama3-8B, BiasUnlearn
    ],
)
def test_rows_of_the_table_of_bias_unlearn(
    lms: float, ss: float, printed: float, right: bool
) -> None:
    must = icat_of(lms, ss)
    assert (abs(must - printed) <= ROUNDED) == right
    row = [estimate("lms", lms), estimate("ss", ss), estimate("icat", must if right else printed)]
    assert [item.text for item in icat_faults(measurement(*row))[1]] == (
        []
        if right
        else [f"icat must be {must:.6g} by lms {lms:.6g} and ss {ss:.6g}, got {printed}"]
    )


def test_each_variant_is_checked_against_its_own_scores() -> None:
    right = measurement(
        estimate("lms", 80.0), estimate("ss", 60.0), estimate("icat", 64.0),
        estimate("lms_micro", 90.0), estimate("ss_micro", 50.0), estimate("icat_micro", 90.0),
        estimate("lms", 70.0, axis="race"), estimate("ss", 0.0, axis="race"),
        estimate("icat", 0.0, axis="race"),
    )  # fmt: skip
    assert icat_faults(right) == (3, [])
    estimates = [
        replace(entry, value=64.0) if entry.metric == "icat_micro" else entry
        for entry in right.estimates
    ]
    checked, (fault,) = icat_faults(measurement(*estimates))
    assert checked == 3
    assert fault.text == "icat_micro must be 90 by lms_micro 90 and ss_micro 50, got 64"


def test_the_mean_of_the_domains_is_held_against_the_domains() -> None:
    rows = [
        estimate(f"{name}", value, n=2, axis=axis)
        for axis, values in (("gender", (80.0, 60.0, 64.0)), ("race", (100.0, 50.0, 100.0)))
        for name, value in zip(("lms", "ss", "icat"), values, strict=True)
    ]
    means = [
        estimate("icat_domain_mean", 82.0),
        estimate("icat_domain_mean", 82.0, task="intra"),
        estimate("icat_domain_mean", 64.0, axis="gender"),
    ]
    assert icat_faults(measurement(*rows, *means)) == (5, [])
    wrong = [replace(means[0], value=90.0), *means[1:]]
    _, (fault,) = icat_faults(measurement(*rows, *wrong))
    assert fault.text == "icat_domain_mean must be 82 by the ICAT of 2 domains, got 90"
    fewer = [replace(row, n=1) if row.metric == "lms" else row for row in rows]
    assert icat_faults(measurement(*fewer, *wrong)) == (2, [])  # the mean cannot be had
    assert icat_faults(measurement(*rows[:3], *wrong)) == (2, [])  # race is missing


def test_a_missing_score_must_be_missing_in_icat_too() -> None:
    lost = [estimate("lms", math.nan), estimate("ss", 60.0)]
    assert icat_faults(measurement(*lost, estimate("icat", math.nan))) == (1, [])
    _, (fault,) = icat_faults(measurement(*lost, estimate("icat", 100.0)))
    assert fault.text == "icat must be nan by lms nan and ss 60, got 100"


def test_other_metrics_are_ignored() -> None:
    spreads = [
        estimate("lms_spread", 3.0),
        estimate("ss_spread", 2.0),
        estimate("icat_spread", 9.0),
    ]
    assert icat_faults(measurement(*spreads, estimate("icat", 9.0), estimate("ss", 50.0))) == (
        0,
        [],
    )
