"""A calibration for a reader: nothing lost, nothing from outside, the same bytes twice."""

import math
from xml.etree import ElementTree

import pytest

from equipoise.records import Estimate
from equipoise.report.calibration_plot import calibration_figure, calibration_table
from equipoise.stats.calibration import Calibration, Reading, curve


def calibration() -> Calibration:
    def reading(metric: str, strength: float, value: float) -> Reading:
        estimate = Estimate(
            metric=metric,
            value=value,
            low=value - 0.01,
            high=math.nan if strength == 0.5 else value + 0.01,
            n=9,
            clusters=3,
            unit="probability",
            ideal=0.0 if metric == "afgb" else None,
        )
        return Reading(strength=strength, seed=0, estimate=estimate)

    strengths = (0.0, 0.5, 1.0)
    return Calibration(
        benchmark="genbias",
        version="1",
        options={},
        strengths=strengths,
        seeds=(0,),
        models=("a", "b", "c"),
        curves=(
            curve([reading("afgb", x, 0.4 * x + 0.02) for x in strengths]),
            curve([reading("lost", x, math.nan) for x in strengths]),
            curve([reading("mass", x, 0.75) for x in strengths]),
        ),
    )


def test_the_table_has_a_row_a_metric_and_says_what_is_missing() -> None:
    lines = calibration_table(calibration()).splitlines()
    assert len(lines) == 5
    assert lines[2] == ("| afgb | 0.4 [0.4, 0.4] | 1 | 0.02 [0.01, 0.03] | 0 | probability |")
    assert lines[3] == "| lost | n/a | n/a | n/a |  | probability |"
    assert "| mass | 0 [0, 0] | n/a | 0.75" in lines[4]


@pytest.mark.thorough
def test_the_figure_is_one_svg_without_chance_or_outside() -> None:
    svg = calibration_figure(calibration())
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert ">afgb<" in svg
    assert ">mass<" in svg
    assert ">lost<" not in svg  # nothing to draw
    assert "genbias: reading against planted strength" in svg
    assert svg == calibration_figure(calibration())
    assert "<image" not in svg
    assert "<script" not in svg
