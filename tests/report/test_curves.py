"""Calibrations on the page: readings, the line through them, and the ideal."""

import pytest

from equipoise.report.curves import curves

from .making import calibration


def test_a_metric_that_reads_what_was_planted() -> None:
    plots = curves(calibration())
    (plot,) = plots.plots
    assert (plots.benchmark, plot.metric) == ("genbias", "afgb")
    assert plots.about.endswith("; 1 metric has no finite reading")
    assert plot.slope == "0.400 [0.400, 0.400]"
    assert (plot.monotone, plot.at_zero) == ("1.00", "0.020 [0.010, 0.030]")
    assert [x for x, _ in plot.points] == [2.5, 50.0, 97.5]


def test_the_line_runs_through_the_points() -> None:
    (plot,) = curves(calibration()).plots
    ends = [(x, w.value) for x, w in plot.points]
    assert plot.line[0] == pytest.approx(ends[0], abs=0.1)
    assert plot.line[1] == pytest.approx(ends[-1], abs=0.1)
    assert plot.axis.ideal is not None
