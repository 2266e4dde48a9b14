"""A result with every kind of number in it: shown, wide, missing, with an ideal or a direction."""

import math
from pathlib import Path

import pytest
from asking import Asked as Asked
from asking import ask as ask

from equipoise.records import Estimate, Measurement, Outcome
from equipoise.study.results import write_results


def estimate(metric: str, value: float, low: float, high: float, **more: object) -> Estimate:
    return Estimate(
        metric=metric, value=value, low=low, high=high, n=100, clusters=10, unit="%", **more
    )  # type: ignore[arg-type]


def measurement(benchmark: str, *estimates: Estimate, model: str = "tiny@0") -> Measurement:
    return Measurement(
        model=model,
        benchmark=benchmark,
        version="1",
        options={},
        split="dev",
        seed=0,
        draws=2000,
        limit=None,
        examples_sha256="0",
        data=(),
        model_info={},
        environment={},
        cluster=None,
        estimates=estimates,
        outcomes=(Outcome(example="a", values={"x": 1.0}),),
    )


#: StereoSet as it was measured, and again, wider.
STEREOSET = (
    estimate("ss", 52.0, 50.0, 54.0, ideal=50.0),
    estimate("lms", 90.0, 88.0, 92.0, ideal=100.0, higher_is_better=True),
    estimate("silent", math.nan, math.nan, math.nan, ideal=0.0, reason="no texts | at all"),
    estimate("seeds", 3.0, math.nan, math.nan),
    estimate("ss", 53.0, 49.0, 57.0, ideal=50.0, group={"axis": "gender"}),
    estimate("ss", 41.0, 39.0, 43.0, ideal=50.0, group={"axis": "race"}),
    estimate("ss", 51.0, 48.0, 53.0, ideal=50.0, group={"target": "Jews, all"}),
    estimate("lms", 80.0, 70.0, 85.0, ideal=100.0, higher_is_better=True, group={"axis": "race"}),
)


@pytest.fixture(scope="session")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `measure --out` would have written of a benchmark measured twice, and of another."""
    return write_results(
        tmp_path_factory.mktemp("result") / "out",
        [
            measurement("stereoset", *STEREOSET),
            measurement("genbias", estimate("afgb", 0.1, 0.0, 0.2)),
            measurement("stereoset", estimate("ss", 58.0, 53.0, 63.0, ideal=50.0)),
        ],
    )
