"""What needs no understanding gets of two classes: the number to hold a score against.

They follow from the true classes alone, so that they have no interval. Functions give a value per
draw; columns have shape [example].
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from equipoise.metrics.weighted import Weighted, Weights
from equipoise.records import Column, Columns, Metric

_SOURCE: Final = "own, from the true classes alone"


def majority(positive: Column) -> Column:
    """Accuracy of always giving the commoner class. `positive`: its share, in [0, 1]."""
    return np.maximum(positive, 1 - positive)


def f1_always(positive: Column) -> Column:
    """F1 of calling every row positive: precision is the share of positives, recall is 1."""
    return 2 * positive / (1 + positive)


def f1_coin(positive: Column) -> Column:
    """F1 of a fair coin: precision is the share of positives, recall a half.

    Of the expected counts: 2 TP / (2 TP + FP + FN) with TP = FN and FP = (1 - positive) / 2.
    """
    return positive / (positive + 0.5)


def of_nulls(positive: str) -> tuple[Metric, Metric, Metric]:
    """The three, in percent; `positive` names the positive class."""
    return (
        _null("accuracy_majority", majority, "accuracy of always giving the commoner class"),
        _null("f1_always", f1_always, f"F1 of calling every row '{positive}'"),
        _null("f1_coin", f1_coin, "F1 of a fair coin"),
    )


def _null(name: str, of: Callable[[Column], Column], what: str) -> Metric:
    def value(columns: Columns, weights: Weights) -> Column:
        return 100.0 * of(weights.mean(columns["truth"]))

    return Metric(
        name=name, of=Weighted(value), unit="%", source=f"{_SOURCE}: {what}", low=0.0, high=100.0,
        resampled=False,
    )  # fmt: skip
