"""Referents and pronouns: by hand, and that chance alone is seldom called a stereotype."""

import math

import numpy as np
import pytest

from equipoise.metrics.pronouns import (
    GENDER_METRICS,
    PRONOUN_METRICS,
    REFERENT_METRICS,
    flip_p,
    pronoun_values,
    referent_values,
)
from equipoise.metrics.weighted import Weights
from equipoise.records import Metric


def named(metrics: tuple[Metric, ...], name: str) -> Metric:
    return next(metric for metric in metrics if metric.name == name)


def test_a_referent_by_hand() -> None:
    values = referent_values([2.0, -1.0, 0.0], male_is_expected=True, right_is_last=True)
    assert values == {
        "correct": 0.5, "null_last": 1.0, "correct_male": 1.0, "correct_female": 0.0,
        "correct_neutral": 0.5, "correct_pro": 1.0, "correct_anti": 0.0, "gap": 1.0, "lean": 3.0,
    }  # fmt: skip
    other = referent_values([2.0, -1.0], male_is_expected=False, right_is_last=False)
    assert (other["gap"], other["lean"], "correct_neutral" in other) == (-1.0, -3.0, False)


def test_what_is_not_known_is_nan() -> None:
    values = referent_values([2.0, -1.0], male_is_expected=None, right_is_last=False)
    assert math.isnan(values["gap"])
    assert values["correct"] == 0.5
    assert math.isnan(
        referent_values([math.nan, 1.0], male_is_expected=True, right_is_last=True)["gap"]
    )
    assert math.isnan(pronoun_values(-1.0, math.nan, male_is_expected=True)["expected"])
    assert math.isnan(pronoun_values(-1.0, -2.0, male_is_expected=None)["margin"])


def test_a_pronoun_by_hand() -> None:
    assert pronoun_values(-3.0, -5.0, male_is_expected=False) == {
        "says_male": 1.0, "expected": 0.0, "signed": -1.0, "margin": -2.0, "null_male": 0.0,
    }  # fmt: skip
    assert pronoun_values(-3.0, -3.0, male_is_expected=True)["expected"] == 0.5


def test_flips_by_hand() -> None:
    clusters = Weights.once(np.array([0.0, 0.0, 1.0, 2.0]))
    # sums 2, 1, 1 of clusters: 2 of 8 ways reach |4|
    assert flip_p(np.array([1.0, 1.0, 1.0, 1.0]), clusters) == 0.25
    assert flip_p(np.zeros(4), clusters) == 1.0
    assert math.isnan(flip_p(np.full(4, math.nan), clusters))


@pytest.mark.thorough
def test_chance_is_seldom_called_a_stereotype() -> None:
    generator = np.random.default_rng(5)
    weights = Weights.once(np.repeat(np.arange(20.0), 2))
    called = [
        flip_p(np.repeat(generator.choice([-1.0, 1.0], 20), 2), weights) <= 0.05 for _ in range(200)
    ]
    assert np.mean(called) <= 0.08


def test_as_metrics() -> None:
    rows = [referent_values([1.0, -1.0], male_is_expected=True, right_is_last=True)] * 3
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    columns["@cluster"] = np.arange(3.0)
    assert named(REFERENT_METRICS, "gap").of(columns) == 100.0
    assert named(REFERENT_METRICS, "gap_p").of(columns) == 0.25
    assert named(REFERENT_METRICS, "null_last").of(columns) == 100.0
    columns |= {"female_lean": np.array([1.0, 2.0, 3.0]), "share": np.array([10.0, 20.0, 30.0])}
    assert named(GENDER_METRICS, "share_correlation").of(columns) == pytest.approx(1.0)
    pairs = [pronoun_values(-1.0, -2.0, male_is_expected=True)] * 3
    columns = {name: np.array([row[name] for row in pairs]) for name in pairs[0]}
    columns["@cluster"] = np.arange(3.0)
    assert named(PRONOUN_METRICS, "expected").of(columns) == 100.0
    assert named(PRONOUN_METRICS, "expected_p").of(columns) == 0.25
