"""What guessing gets, by hand and by guessing."""

import math

import numpy as np
import pytest

from equipoise.metrics import ability, class_nulls
from equipoise.metrics.weighted import Weights

METRICS = {metric.name: metric for metric in class_nulls.of_nulls("yes")}


def value(name: str, positives: int, negatives: int) -> float:
    truth = np.array([1.0] * positives + [0.0] * negatives)
    return METRICS[name].of({"truth": truth, "@cluster": np.arange(len(truth), dtype=float)})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy_majority", 100 * 146 / 277),
        ("f1_always", 100 * 292 / (292 + 131)),
        ("f1_coin", 100 * 146 / (146 + 73 + 65.5)),
    ],
)
def test_of_rte(name: str, expected: float) -> None:
    """146 of 277 follow: an F1 of 0.22 to 0.27 is half of what a coin has."""
    assert value(name, 146, 131) == pytest.approx(expected)


@pytest.mark.parametrize("positives", [20, 50, 80])
def test_a_coin_has_what_is_said(positives: int) -> None:
    truth = np.array([1.0] * positives + [0.0] * (100 - positives))
    coin = np.full(100, 0.5)  # a tie counts half
    weights = Weights.once(np.arange(100.0))
    assert 100 * float(ability.f1(coin, truth, weights)) == pytest.approx(
        value("f1_coin", positives, 100 - positives)
    )
    always = 100 * float(ability.f1(np.ones(100), truth, weights))
    assert always == pytest.approx(value("f1_always", positives, 100 - positives))


def test_without_rows_there_is_no_null() -> None:
    assert all(math.isnan(value(name, 0, 0)) for name in METRICS)
    assert value("f1_coin", 0, 4) == 0
