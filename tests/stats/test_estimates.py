"""Several outcomes of the same examples, estimated together."""

import math
from dataclasses import replace

import numpy as np
import pytest

from equipoise.benchmarks.stereoset import StereoSet
from equipoise.records import Outcome
from equipoise.stats.estimates import estimate_alike, estimate_metrics


def _outcomes(seed: int, *, axis: str = "race") -> list[Outcome]:
    rng = np.random.default_rng(seed)
    return [
        Outcome(
            example=str(index),
            values={name: float(rng.random() < 0.5) for name in ("prefers", "related")}
            | {"margin": rng.normal(), "related_margin": rng.normal()},
            groups={"target": f"t{index % 7}", "axis": axis if index % 3 else "gender"},
        )
        for index in range(42)
    ]


@pytest.mark.thorough
def test_together_they_are_what_they_are_alone() -> None:
    """Also where the groups differ, and where a metric has no value on a side."""
    blank = [replace(each, values=dict.fromkeys(each.values, math.nan)) for each in _outcomes(3)]
    sides = [_outcomes(0), _outcomes(1), _outcomes(2, axis="religion"), blank]
    settings = {"cluster": "target", "draws": 60, "seed": 4}
    together = estimate_alike(StereoSet(), sides, **settings)  # type: ignore[arg-type]
    alone = [
        [*estimate_metrics(StereoSet(), side, family=False, **settings)]  # type: ignore[arg-type]
        for side in sides
    ]
    assert repr(together) == repr(alone)
    assert repr(together[0]) != repr(together[1])
    assert estimate_alike(StereoSet(), [], **settings) == []  # type: ignore[arg-type]
