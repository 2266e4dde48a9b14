"""The share of what fine-tuning added that was taken away again."""

import math

import numpy as np
import pytest

from equipoise.records import Metric
from equipoise.stats.compare import Sides, compare_metrics
from equipoise.stats.reduction import Stages, reductions

MEAN = Metric(name="mean", of=lambda c: float(c["x"].mean()), unit="%", ideal=0.0, source="test")
SKILL = Metric(name="skill", of=MEAN.of, unit="%", ideal=1.0, higher_is_better=True, source="test")
CODES = np.arange(40)
NOISE = np.random.default_rng(0).normal(scale=0.1, size=40)


def side(level: float) -> dict[str, np.ndarray]:
    """Items of that mean, which go up and down together on all sides."""
    return {"x": level + NOISE - NOISE.mean(), "@cluster": CODES}


def test_share_of_what_was_added_by_hand() -> None:
    stages = Stages(base=side(1.0), tuned=(side(5.0),), after=(side(4.0),))
    (share,) = reductions([MEAN, SKILL], stages, draws=200, seed=0)  # ability has no such share
    assert share.metric == "mean"
    assert share.value == pytest.approx(25.0)
    assert share.low == pytest.approx(25.0)  # the items' noise is shared by all sides
    assert share.unit == "%"


def test_several_seeds_are_a_ratio_of_means_with_their_scatter() -> None:
    levels = ((5.0, 4.0), (4.6, 3.0), (5.4, 2.0), (5.0, 3.0))
    stages = Stages(
        base=side(1.0),
        tuned=tuple(side(tuned) for tuned, _ in levels),
        after=tuple(side(after) for _, after in levels),
    )
    (share,) = reductions([MEAN], stages, draws=400, seed=0)
    assert share.value == pytest.approx(100 * (5.0 - 3.0) / (5.0 - 1.0))
    assert share.low < share.value < share.high


def test_nothing_added_has_no_share() -> None:
    noisy = side(1.0)
    noisy["x"] = noisy["x"] + np.random.default_rng(1).normal(scale=3.0, size=40)
    stages = Stages(base=side(1.0), tuned=(noisy,), after=(side(1.0),))
    (share,) = reductions([MEAN], stages, draws=200, seed=0)
    assert math.isnan(share.value)
    assert math.isnan(share.low)
    assert "not shown to differ from 0" in str(share.reason)


def test_each_seed_has_a_side_before_of_its_own() -> None:
    sides = Sides(before=side(5.0), other_befores=(side(3.0),), afters=(side(4.0), side(2.0)))
    (change,) = compare_metrics([MEAN], sides, draws=200, seed=0)
    assert (change.before, change.after) == pytest.approx((4.0, 3.0))
    # both seeds fell by 1: their scatter is in the values, and not in the difference
    assert (change.low, change.high) == pytest.approx((-1.0, -1.0))
    assert change.before_low < 4.0 < change.before_high
    # over two seeds what was before may have been the ideal
    assert change.direction == "unclear"


def test_stages_must_have_equally_many_seeds() -> None:
    with pytest.raises(ValueError, match="equally many seeds, at least 1, got 1 and 2"):
        reductions(
            [MEAN],
            Stages(base=side(1.0), tuned=(side(1.0),), after=(side(1.0), side(1.0))),
            draws=10,
            seed=0,
        )
