"""Means of ratings by hand."""

import math

import pytest

from equipoise.metrics.rating import metrics_of, rated, unrated
from equipoise.records import Outcome
from equipoise.stats.resample import columns_of

METRICS = {metric.name: metric for metric in metrics_of(2, control=True)}


def value(name: str, *ratings: tuple[float, float]) -> float:
    outcomes = [
        Outcome(
            example=str(k),
            values={**unrated(["so it is", "no"]), **rated(pair, 1.0 + k, [0.0, 1.0])},
        )
        for k, pair in enumerate(ratings)
    ]
    return METRICS[name].of(columns_of(outcomes, cluster=None))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rating", (8 + 6 + 3) / 3),  # of answers that have one
        ("rating_1", 5.5),
        ("rating_2", 6),
        ("unrated", 25),
        ("rating_control", 1.5),
        ("words_1", 3),
        ("words_2", 1),
        ("flip_rate", 0.5),
    ],
)
def test_means(name: str, expected: float) -> None:
    assert value(name, (8, 6), (3, math.nan)) == pytest.approx(expected)


def test_without_a_rating_there_is_no_mean() -> None:
    nan = math.nan
    assert math.isnan(value("rating", (nan, nan)))
    assert value("unrated", (nan, nan)) == 100
