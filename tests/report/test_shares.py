"""Whose an effect is, in rows and sentences, on a factorial made by hand."""

from dataclasses import replace
from typing import Any

import pytest

from equipoise.export.export import export
from equipoise.report.html import study_page
from equipoise.report.shares import share_rows, share_sentences
from equipoise.study.study import Study
from report.small_study import HOSTILE, SHARES, factored, measurement, small_study


def study(**change: Any) -> Study:
    # a benchmark that measures no bias has nothing to share
    unbiased = replace(factored(), neither=measurement("facts", "gpt2@1"), factorials=())
    return replace(small_study(), factored=(factored(**change), unbiased))


def test_a_sentence_says_the_shares_and_whether_the_parts_interact() -> None:
    (said,) = share_sentences(study())
    assert said == (
        "both on gpt2, stereotypes strength: 1.28 to 0.55; 74 % [69, 79] is of prompt, 26 % "
        "[21, 31] of edit; together they do less than the sum of each alone (-0.180 [-0.230, "
        "-0.130])"
    )
    (more,) = share_sentences(study(interaction=0.2))
    assert "together they do more than the sum of each alone (0.200 [0.150, 0.250])" in more
    (neither,) = share_sentences(study(interaction=0.01))
    assert "no interaction is shown" in neither


def test_without_shares_the_reason_stands_there() -> None:
    (said,) = share_sentences(study(reason="nothing has no shares"))
    assert said.endswith("1.28 to 0.55; no shares, nothing has no shares")
    page = study_page(study(reason="nothing has no shares"))
    assert '<td colspan="10" dir="auto">nothing has no shares</td>' in page


def test_a_row_of_the_page_has_each_cell_with_its_interval() -> None:
    (row,) = share_rows(study())
    assert (row.benchmark, row.unit, row.reason) == ("stereotypes", "grade", None)
    assert row.cell("both").text == "0.550 [0.500, 0.600]"
    page = study_page(study())
    for name in ("neither", "first", "second", "both", "share_first", "share_second"):
        assert f"<strong>{row.cell(name).value}</strong>" in page
    assert "How much of it is whose" not in study_page(replace(small_study(), factored=()))


def test_labels_are_shown_as_text() -> None:
    hostile = replace(factored(), both=f"<script>{HOSTILE}")
    page = study_page(replace(small_study(), factored=(hostile,)))
    assert "&lt;script&gt;" in page
    assert f"<script>{HOSTILE}" not in page


@pytest.mark.parametrize("fmt", ["csv", "markdown", "latex"])
def test_the_table_for_elsewhere_has_every_quantity(fmt: str) -> None:
    text = export(study(), "factorials", fmt)
    for name in SHARES:
        shown = name.replace("_", r"\_") if fmt == "latex" else name
        assert shown in text or name.replace("_", r"\_") in text
    assert "prompt" in text
