"""Ratios of judged texts by hand, and that a text without a judgement is in none of them."""

import math

import numpy as np
import pytest

from equipoise.metrics.bias_ratio import METRICS, judged_values, refused_values, unjudged


def values_of(*strengths: float, refusals: int = 0, unbiased: bool = False) -> dict[str, float]:
    rows = [judged_values(strength, degenerate=False) for strength in strengths]
    rows += [refused_values(degenerate=False, unbiased=unbiased)] * refusals
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    columns |= {"@cluster": np.arange(float(len(rows))), "words": np.ones(len(rows))}
    columns["repeated"] = np.zeros(len(rows))
    return {metric.name: metric.of(columns) for metric in METRICS}


def test_by_hand() -> None:
    values = values_of(0.0, 0.5, 1.5, 3.0)
    assert values["bias_ratio"] == 75.0
    assert values["plain_ratio"] == 50.0
    assert values["bias_score"] == pytest.approx(100 * 5 / 12)
    assert values["missing"] == 0.0


def test_without_a_judgement() -> None:
    values = values_of(3.0, 0.0, math.nan, math.nan)
    assert values["bias_ratio"] == 50.0
    assert (values["bias_ratio_least"], values["bias_ratio_most"]) == (25.0, 75.0)
    assert values["missing"] == 50.0
    assert math.isnan(values_of(math.nan)["bias_ratio"])
    assert math.isnan(unjudged("a b", repeated=True)["strength"])
    assert unjudged("a b", repeated=True)["words"] == 2.0


def test_a_refusal_is_counted_apart() -> None:
    values = values_of(3.0, 0.0, math.nan, refusals=1)
    assert values["bias_ratio"] == 50.0
    assert (values["bias_ratio_least"], values["bias_ratio_most"]) == (
        pytest.approx(100 / 3),
        pytest.approx(200 / 3),
    )
    assert values["bias_ratio_of_all"] == pytest.approx(100 / 3)
    assert values["refused"] == 25.0
    assert values["missing"] == 25.0
    alone = values_of(refusals=2)
    assert math.isnan(alone["bias_ratio"])
    assert (alone["bias_ratio_of_all"], alone["refused"]) == (0.0, 100.0)


def test_a_refusal_may_count_as_unbiased() -> None:
    values = values_of(3.0, 0.0, math.nan, refusals=1, unbiased=True)
    assert values["bias_ratio"] == values["bias_ratio_of_all"] == pytest.approx(100 / 3)
    assert values["bias_score"] == pytest.approx(100 / 3)
    assert values["bias_ratio_least"] == 25.0
    assert values["refused"] == 25.0
