"""The curve of removed heads: points, fit, chosen number and random heads, or nothing at all."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from equipoise.report.elbow_plot import elbow_plots
from equipoise.report.html import study_page

from .making import study

REPORT: dict[str, Any] = {
    "k": 2,
    "heads": ["3.1", "2.0"],
    "notes": ["3 heads by the elbow, cut to 2"],
    "curve": {
        "points": [
            {"k": 0, "strength": 2.0, "low": 1.5, "high": 2.5, "n": 9, "perplexity": 1.0},
            {"k": 1, "strength": 1.2, "low": 0.9, "high": 1.6, "n": 9, "perplexity": 1.001},
            {"k": 2, "strength": 0.4, "low": 0.1, "high": 0.6, "n": 9, "perplexity": 1.01},
            {"k": 3, "strength": 0.2, "low": None, "high": None, "n": 1, "perplexity": 1.4},
        ],
        "examples": 9,
        "missing": 0,
        "cap": 2,
        "elbow": {
            "k": 3, "low": 2.0, "high": 3.0, "start": 2.0, "slope": 0.75, "floor": 0.2,
            "breakpoint": 2.4, "fall_low": 1.0, "fall_high": 2.0, "saturated": True,
            "reason": None,
        },
    },
    "strength": {
        "of": "likelihood",
        "unit": "nats",
        "before": {"strength": 2.0, "low": 1.5, "high": 2.5, "n": 9},
        "after": {"strength": 0.4, "low": 0.1, "high": 0.6, "n": 9},
    },
    "controls": {
        "layer": {"strengths": [1.9, 1.8], "mean": 1.85, "draws": 2, "p": 0.3333},
        "norm": {"strengths": [2.1, 1.7], "mean": 1.9, "draws": 2, "p": 0.3333},
    },
}  # fmt: skip


def edit(report: Any) -> dict[str, Any]:
    return {"method": "head_steering", "options": {}, "seed": 4, "report": report}


def test_points_fit_number_and_controls_are_drawn() -> None:
    (plot,) = elbow_plots([edit(REPORT)])
    assert [round(x) for x, _ in plot.points] == [2, 34, 66, 98]
    heights = [mark.value for _, mark in plot.points]
    assert heights == sorted(heights, reverse=True)
    assert plot.points[3][1].low == plot.points[3][1].high  # without an interval
    assert [round(x) for x, _ in plot.line] == [2, 78, 98]
    assert (plot.chosen.text, round(plot.chosen.place)) == ("2", 66)
    assert list(plot.dots) == ["of the same blocks", "of similar output"]
    assert all(x == plot.chosen.place for dots in plot.dots.values() for x, _ in dots)
    assert plot.beyond == plot.points[3][0]
    text = "\n".join(plot.sentences)
    assert (
        "2 heads: strength 2.00 [1.50, 2.50] before, 0.400 [0.100, 0.600] after (nats; 9 examples"
        in text
    )
    assert "as many random heads of similar output leave 1.9 on average, p = 0.33 of 2" in text
    assert "elbow at 3 [2, 3] heads" in text
    assert "perplexity on neutral texts changes by +1 %" in text


def test_no_effect_has_no_line_and_no_controls() -> None:
    report = copy.deepcopy(REPORT)
    report |= {"k": 0, "heads": [], "notes": ["no effect found: x"]}
    del report["controls"]
    report["curve"]["elbow"] |= {"k": 0, "slope": None, "breakpoint": None}
    (plot,) = elbow_plots([edit(report)])
    assert (plot.line, plot.dots, plot.chosen.text) == ([], {}, "0")
    assert plot.notes == ("no effect found: x",)


def test_random_heads_that_are_compared_with_none_say_why() -> None:
    report = copy.deepcopy(REPORT)
    report["controls"]["norm"] = {
        "strengths": [], "mean": None, "distinct": 0, "p": None, "reason": "they are random"
    }  # fmt: skip
    (plot,) = elbow_plots([edit(report)])
    assert plot.dots["of similar output"] == []
    assert "no random heads of similar output to compare with: they are random" in plot.sentences


@pytest.mark.parametrize("report", [None, {}, {"blocks": [1]}, {**REPORT, "curve": {"points": 3}}])
def test_other_and_damaged_reports_have_no_plot(report: Any) -> None:
    assert elbow_plots([edit(report)]) == []


def test_the_page_shows_it_in_its_chapter() -> None:
    whole = study()
    chapters = [replace(whole.chapters[0], edits=(edit(REPORT), edit(REPORT) | {"seed": 5}))]
    page = study_page(replace(whole, chapters=(*chapters, *whole.chapters[1:])))
    assert page.count("<strong>Heads removed, seed ") == 2
    assert "3 heads by the elbow, cut to 2" in page
    assert "k = 2</text>" in page
    assert "Heads removed" not in study_page(whole)
