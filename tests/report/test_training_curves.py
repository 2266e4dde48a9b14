"""Curves of training: what is read of an edit's record, and how it is drawn."""

import math
from dataclasses import replace
from typing import Any

import pytest

from equipoise.report.curve_plots import MOST_LINES, CurvePicture, curve_pictures, svg_points
from equipoise.report.html import study_page
from equipoise.report.training_curves import Curve, edit_curves, study_curves
from equipoise.study.study import Study

from .making import study


def bias(ss: float) -> dict[str, Any]:
    return {"margin": 0.1, "ss": ss, "ss_low": ss - 5, "ss_high": ss + 5, "items": 40}


REPORT: dict[str, Any] = {
    "curves": {
        "every": 10, "steps": [10, 20, 25], "total": [3.0, 2.0, 1.5], "kl": [None, 0.1, 0.2],
    },
    "evaluations": [
        {"steps": 0, "overall": bias(60.0), "types": {"gender": bias(70.0), "race": bias(50.0)}},
        {
            "steps": 25, "overall": bias(52.0), "types": {"gender": bias(55.0), "race": bias(49.0)},
            "lms": {"lms": 90.0, "fall": 1.0, "low": 0.0, "high": 2.0, "n": 38},
        },
    ],
    "trajectory": {
        "edits": [0, 50], "afgb": [0.3, 0.1], "afgb_low": [0.2, 0.0], "afgb_high": [0.4, 0.2],
        "perplexity": [20.0, None], "ub": [0.4, 0.3],
    },
    "trajectory_n": {"dev": 100, "hinted": 80, "texts": 50},
    "trajectory_meanings": {"afgb": "the mean gap", "ub": "hints heeded"},
}  # fmt: skip


def edit(report: Any = REPORT, *, seed: int = 0, content: str = "a") -> dict[str, Any]:
    return {"method": "bias_unlearn", "options": {}, "seed": seed, "content": content} | {
        "report": report
    }


def curves(report: Any = REPORT) -> dict[str, Curve]:
    read = edit_curves(edit(report), model="gpt2", method="BiasUnlearn")
    return {curve.quantity: curve for curve in read}


def with_edits(*edits: dict[str, Any], methods: tuple[str, ...] = ("BiasUnlearn",)) -> Study:
    (chapter, *_) = study().chapters
    chapters = (replace(chapter, mitigation=name, edits=edits) for name in methods)
    return replace(study(), chapters=tuple(chapters))


def pictures(known: Study) -> dict[str, CurvePicture]:
    (drawn,) = curve_pictures(known).values()
    return {picture.quantity: picture for picture in drawn}


def test_losses_held_out_bias_and_trajectory_are_read() -> None:
    read = curves()
    assert list(read) == [
        "loss, total", "loss, kl", "SS, overall", "SS, gender", "SS, race", "held-out LMS", "afgb",
        "perplexity", "ub",
    ]  # fmt: skip
    assert read["loss, total"].values == (3.0, 2.0, 1.5)
    assert read["loss, total"].rule == "means of 10 steps, each at its last"
    assert math.isnan(read["loss, kl"].values[0])
    gender = read["SS, gender"]
    assert (gender.x, gender.values, gender.low) == ((0.0, 25.0), (70.0, 55.0), (65.0, 50.0))
    assert (gender.n, gender.ideal) == (40, 50.0)
    assert "interval" in gender.band
    assert (read["held-out LMS"].n, read["held-out LMS"].band) == (38, "")  # of a change alone
    assert (read["afgb"].over, read["afgb"].high) == ("edits", (0.4, 0.2))
    assert read["perplexity"].band == ""
    assert [read[name].n for name in ("afgb", "perplexity", "ub")] == [100, 50, 80]
    assert read["ub"].rule == "as the editor measured; hints heeded"
    assert read["perplexity"].rule == "as measured"


@pytest.mark.parametrize(
    "report",
    [
        None, "", {}, {"curves": 3}, {"curves": {"every": 1, "steps": ["x"], "total": [1.0]}},
        {"curves": {"every": 1, "steps": [1, 2], "total": [1.0]}},
        {"evaluations": [{"steps": 0}]}, {"trajectory": {"edits": [1], "afgb": ["<b>"]}},
        {"trajectory": {"afgb": [1.0]}},
    ],
)  # fmt: skip
def test_what_is_of_another_form_is_left_out(report: Any) -> None:
    assert curves(report) == {}


def test_evaluations_of_an_older_version_have_no_overall_and_no_band() -> None:
    old = {"margin": 0.1, "ss": 55.0, "items": 9}
    read = curves({"evaluations": [{"steps": 5, "types": {"gender": old}}]})
    assert list(read) == ["SS, gender"]
    assert read["SS, gender"].band == ""


def test_an_edit_that_two_chapters_have_is_read_once() -> None:
    (chapter, *_) = study().chapters
    twice = replace(chapter, edits=(edit(),)), replace(chapter, edits=(edit(),), against="other")
    assert len(study_curves(replace(study(), chapters=twice))) == len(curves())


def test_methods_share_a_picture_with_bands_where_there_is_a_single_seed() -> None:
    drawn = pictures(with_edits(edit(), methods=("BiasUnlearn", "DPO")))
    assert list(drawn)[:3] == ["SS, overall", "SS, gender", "SS, race"]
    gender = drawn["SS, gender"]
    assert gender.methods == ("BiasUnlearn", "DPO")
    assert [line.kind for line in gender.lines] == [0, 1]
    assert all(len(line.band) == 1 for line in gender.lines)
    (piece,) = gender.lines[0].pieces
    assert piece[0][0] < piece[1][0]  # later is to the right
    assert piece[0][1] > piece[1][1]  # and less is below
    assert gender.axis.ideal is not None
    assert all(abs(tick.place - gender.axis.ideal.place) > 8 for tick in gender.ticks)
    assert len(gender.ticks) > 1
    assert any("n = 40" in sentence for sentence in gender.sentences)
    assert gender.rows[0] == ("0", "70.0 [65.0, 75.0]", "70.0 [65.0, 75.0]")
    assert "no band" in " ".join(drawn["loss, total"].sentences)


def test_a_line_is_interrupted_where_a_value_is_missing() -> None:
    report = {"curves": {"every": 1, "steps": [1, 2, 3, 4], "kl": [1.0, None, 0.5, 0.2]}}
    (line,) = pictures(with_edits(edit(report)))["loss, kl"].lines
    assert [len(piece) for piece in line.pieces] == [1, 2]


def test_seeds_have_lines_of_their_own_and_no_bands() -> None:
    known = with_edits(edit(), edit(seed=1, content="b"))
    gender = pictures(known)["SS, gender"]
    assert [line.name for line in gender.lines] == ["BiasUnlearn, seed 0", "BiasUnlearn, seed 1"]
    assert not any(line.band for line in gender.lines)
    assert any(sentence.startswith("a line for each seed") for sentence in gender.sentences)


def test_a_picture_has_no_more_methods_than_kinds_of_lines() -> None:
    names = tuple(f"method {number}" for number in range(MOST_LINES + 2))
    drawn = curve_pictures(with_edits(edit(), methods=names))["gpt2"]
    methods = [picture.methods for picture in drawn if picture.quantity == "SS, overall"]
    assert methods == [names[:MOST_LINES], names[MOST_LINES:]]


def test_a_long_table_says_how_many_points_it_leaves_out() -> None:
    steps = list(range(1, 101))
    report = {"curves": {"every": 1, "steps": steps, "total": [1.0] * 100}}
    picture = pictures(with_edits(edit(report)))["loss, total"]
    assert (len(picture.rows), picture.left_out) == (12, 88)
    assert (picture.rows[0][0], picture.rows[-1][0]) == ("1", "100")


def test_places_are_counted_from_above_in_a_picture() -> None:
    assert svg_points(((0.0, 0.0), (50.0, 97.5))) == "0,100 50,2.5"
    assert svg_points(((20.0, 30.0),)) == "20,70 20,70"  # a point alone is a dot


def test_the_page_draws_them_and_does_not_print_them() -> None:
    page = study_page(with_edits(edit()))
    assert 'id="curves"' in page
    assert page.count("<polyline") == len(curves())
    assert '"every": 10' not in page
    assert 'id="curves"' not in study_page(study())


def test_names_are_made_harmless() -> None:
    report = {
        "trajectory": {"edits": [0, 1], "<script>x": [1.0, 2.0]},
        "trajectory_n": {"dev": "<script>n"},
        "trajectory_meanings": {"<script>x": "<script>x means"},
    }
    page = study_page(with_edits(edit(report), methods=("<script>y",)))
    assert "<script>x" not in page
    assert "<script>y" not in page
