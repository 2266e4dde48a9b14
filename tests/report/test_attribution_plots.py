"""The section of the page about training rows: table, curves, profiles, rows behind a warning."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from equipoise.errors import RecipeError
from equipoise.report.attribution_figure import write_attribution_figure
from equipoise.report.attribution_plots import AttributionView, attribution_views
from equipoise.report.html import study_page
from equipoise.rows import TrainingRow
from equipoise.study.attribution_files import summarize_attribution
from equipoise.study.study import Attributed, Study

from .attributed import ATTRIBUTIONS, ROWS, study
from .making import HOSTILE


@pytest.fixture(scope="module")
def results() -> Study:
    return study()


@pytest.fixture(scope="module")
def view(results: Study) -> AttributionView:
    (only,) = attribution_views(results)
    return only


def test_a_row_for_each_attributor_with_bounds_and_lds(view: AttributionView) -> None:
    assert [row.name for row in view.table] == ["influence", "bm25", "random"]
    headings = [score.heading for score in view.table[0].scores]
    assert headings == [
        "LDS", "average precision", "AUC", "coverage at 15 %", "coverage at 35 %",
        "precision at 15 %", "precision at 35 %", "precision at prevalence",
    ]  # fmt: skip
    by_heading = dict(zip(headings, view.table[0].scores, strict=True))
    assert by_heading["coverage at 15 %"].bounds == "chance 0.15, at most 0.45"
    assert by_heading["LDS"].cell.text == "0.420 [0.320, 0.520]"
    assert by_heading["AUC"].p
    assert view.facts == "60 training rows, 60 with a label, 20 of them biased; 8 probes"


def test_sentences_compare_with_baselines_alone(view: AttributionView) -> None:
    assert any("above bm25: lds" in sentence for sentence in view.sentences)
    assert any(re.match("influence .*above random: average precision", s) for s in view.sentences)
    assert not any(sentence.startswith(("bm25", "random")) for sentence in view.sentences)


def test_curves_stand_on_shared_scales(view: AttributionView) -> None:
    titles = [plot.title for plot in view.curves]
    assert titles == ["Precision by recall", "Bias left, nats",
                      "Perplexity of neutral texts, per token"]  # fmt: skip
    curve, bias, _ = view.curves
    assert curve.marks[0][0] == "chance, 0.33"
    assert all(0 <= x <= 100 for line in curve.lines for x, _ in line.points)
    assert [len(line.points) for line in bias.lines] == [4, 4, 4]  # all rows, three shares
    influence = bias.lines[0].points
    assert influence[0][1].value > influence[-1][1].value  # more removed, less bias
    assert bias.marks[0][1] < influence[-1][1].value  # before training there was less


def test_profile_and_rows(view: AttributionView) -> None:
    leave_out, influence, *_ = view.profiles
    assert [row.name for row in leave_out.rows] == ["influence", "bm25", "random"]
    assert [row.name for row in influence.rows] == [
        "label biased, axis age", "label biased, axis religion", "label neutral",
    ]  # fmt: skip
    ((attributor, lists),) = view.rows
    assert attributor == "influence"  # baselines would bury it
    assert [len(each.rows) for each in lists] == [3, 3, 3]
    assert any("1 rows have no score; the first has 300 tokens" in note for note in view.notes)


def test_page_hides_the_texts_behind_the_warning(results: Study) -> None:
    page = study_page(results)
    assert page.count("Which training rows taught it") == 1
    for match in re.finditer(r"A sentence about \d+\.", page):
        before = page[: match.start()]
        assert before.rfind('<details class="sensitive') > before.rfind("</details>")


def test_hostile_rows_are_escaped_and_unlabelled_ones_not_judged() -> None:
    rows = tuple(TrainingRow(id=row.id, text=HOSTILE, groups={"source": HOSTILE}) for row in ROWS)
    each = ATTRIBUTIONS["influence"]
    attributed = Attributed(
        model=HOSTILE, attributor=HOSTILE, attribution=replace(each, notes=(HOSTILE,)),
        summary=summarize_attribution(each, rows, count=2),
    )  # fmt: skip
    page = study_page(Study(title="t", recipe={}, attributed=(attributed,)))
    assert "<script>alert" not in page
    (view,) = attribution_views(Study(title="t", recipe={}, attributed=(attributed,)))
    assert view.curves == ()
    assert view.table[0].scores == ()
    assert "none with a label" in view.facts


def test_without_a_baseline_it_is_said(results: Study) -> None:
    quality = tuple(replace(each, versus=()) for each in results.validated[0].quality)
    alone = replace(results.validated[0], quality=quality, leave_out=(), removal=())
    (view,) = attribution_views(replace(results, validated=(alone,)))
    assert view.sentences == (
        "no baseline was scored beside them: bm25 or tfidf must be beaten for a claim",
    )


@pytest.mark.thorough
def test_figure_files_have_a_panel_for_each_plot(results: Study, tmp_path: Path) -> None:
    first = write_attribution_figure(tmp_path / "a.svg", results, title="Rows")
    second = write_attribution_figure(tmp_path / "b.svg", results, title="Rows")
    assert first.read_bytes() == second.read_bytes()
    text = first.read_text()
    for label in ("precision", "LDS", "bias left", "perplexity", "mean score"):
        assert label in text
    png = write_attribution_figure(tmp_path / "a.png", results, title="Rows")
    assert png.read_bytes().startswith(b"\x89PNG")


def test_figures_of_nothing_and_of_other_endings_are_refused(
    results: Study, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=r"must be a \.svg or \.png file"):
        write_attribution_figure(tmp_path / "a.pdf", results, title="Rows")
    with pytest.raises(RecipeError, match="must show attributions"):
        write_attribution_figure(tmp_path / "a.svg", Study(title="none", recipe={}), title="Rows")
    assert not list(tmp_path.iterdir())
