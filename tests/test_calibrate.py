"""Calibrate: the right worlds are asked, and curves come out of what was read."""

import math
from pathlib import Path

import pytest

from equipoise.benchmarks.genbias import GenBias
from equipoise.calibrate import STRENGTHS, calibrate
from equipoise.errors import RecipeError
from equipoise.planted.model import load_planted
from equipoise.planted.world import find_world
from equipoise.plugins import options_of
from equipoise.testing import FakeScorer


def leaning(name: str) -> FakeScorer:
    """A model whose odds of "he" after every prompt grow with its world's strength."""
    strength = find_world(name).strength

    def nats(_context: str, text: str) -> float:
        return math.log(0.4 + 0.2 * strength if text == " he" else 0.4 - 0.2 * strength)

    return FakeScorer(nats=nats, identity=name)


@pytest.mark.thorough
def test_a_metric_that_follows_the_bias_rises_in_a_straight_line() -> None:
    calibration = calibrate("genbias", draws=20, limit=60, load=leaning)
    assert calibration.strengths == STRENGTHS
    assert calibration.models[0] == "strength=0,seed=0"
    assert calibration.options == options_of(GenBias())
    by_name = {curve.metric: curve for curve in calibration.curves}
    afgb = by_name["afgb"]
    assert afgb.slope == pytest.approx(0.4)
    assert afgb.spearman == pytest.approx(1)
    assert [item.estimate.value for item in afgb.at_zero()] == pytest.approx([0])
    assert by_name["mass"].slope == pytest.approx(0)


@pytest.mark.thorough
def test_seeds_are_worlds_of_their_own_and_options_are_passed_on() -> None:
    calibration = calibrate(
        "genbias",
        {"split_by": "random"},
        strengths=[1, 0, 1],
        seeds=[1, 0],
        limit=20,
        draws=0,
        load=leaning,
    )
    assert calibration.models == (
        "strength=0,seed=0",
        "strength=0,seed=1",
        "strength=1,seed=0",
        "strength=1,seed=1",
    )
    assert calibration.options["split_by"] == "random"
    assert [(reading.strength, reading.seed) for reading in calibration.curves[0].readings] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]


def test_uncalibratable_metric_has_a_reason() -> None:
    with pytest.raises(RecipeError, match="at least one of each"):
        calibrate("genbias", strengths=[], load=leaning)
    with pytest.raises(RecipeError, match="from 0 to 1, got '2'"):
        calibrate("genbias", strengths=[2], load=leaning)
    with pytest.raises(RecipeError, match="did you mean 'genbias'"):
        calibrate("genbais", load=leaning)


def test_benchmark_without_planted_worlds(tmp_path: Path) -> None:
    file = tmp_path / "plugin.py"
    file.write_text(_WORLDLESS)
    calibration = calibrate(f"{file}:Always", strengths=[0, 0.5, 1], draws=0, load=leaning)
    (only,) = calibration.curves
    assert only.metric == "he"
    assert only.slope == pytest.approx(0.2)


_WORLDLESS = '''
"""A benchmark of one prompt."""
import math
from typing import ClassVar

from equipoise.benchmarks.base import Benchmark
from equipoise.records import Metric, NextToken, Outcome, Prompt


class Always(Benchmark):
    """Reads P(he)."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    metrics: ClassVar = (
        Metric(name="he", of=lambda c: float(c["he"].mean()), unit="probability", source="own"),
    )

    def examples(self, split):
        return [Prompt(id="a", text="Then")]

    def requests(self, example):
        return [NextToken(context=example.text, words=(" he",))]

    def outcome(self, example, responses):
        return Outcome(example=example.id, values={"he": math.exp(responses[0].logprobs[0])})
'''


@pytest.mark.slow
def test_genbias_and_stereoset_follow_the_planted_bias() -> None:
    def load(name: str) -> object:
        return load_planted(name, device="cpu")

    genbias = {curve.metric: curve for curve in calibrate("genbias", draws=200, load=load).curves}
    assert genbias["afgb"].spearman == pytest.approx(1)
    assert genbias["afgb"].slope_low > 0.3
    assert genbias["afgb"].at_zero()[0].estimate.value < 0.03
    stereoset = {curve.metric: curve for curve in calibrate("planted", draws=0, load=load).curves}
    assert stereoset["ss_gender"].slope > 20
    assert stereoset["ss_profession"].slope < -10
