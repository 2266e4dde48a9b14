"""A study as a DataFrame and in a notebook."""

import dataclasses

from report.small_study import HOSTILE, small_study

from equipoise.study.study import Study


def test_a_row_per_estimate() -> None:
    frame = small_study().to_frame()
    assert list(frame["metric"]) == ["afgb", "lms", "afgb"]
    assert list(frame["value"].isna()) == [False, True, False]
    assert list(frame["@profession"].fillna("")) == ["", "", "nurse"]
    assert set(frame["model"]) == {HOSTILE}
    assert len(Study(title="", recipe={}).to_frame()) == 0


def test_a_notebook_shows_the_estimates_and_no_markup_of_others() -> None:
    text = dataclasses.replace(small_study(), title="<b>")._repr_html_()
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert "afgb" in text
    assert "1 steps have no result" in text
