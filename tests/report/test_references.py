"""What numbers are read against, on the page and in the terminal."""

import dataclasses
import math

from equipoise.report.html import study_page
from equipoise.report.references import references_text, without_views
from report import making
from report.small_study import HOSTILE, measurement, references, small_study


def test_a_view_has_a_row_per_fault_with_its_paired_change() -> None:
    (view,) = without_views(small_study())
    assert (view.title, view.metric, view.every.text) == (
        f"genbias of {HOSTILE}", "afgb", "0.250 [0.125, 0.500]",
    )  # fmt: skip
    twice, unclear = view.rows
    assert (twice.items, twice.value.value, twice.change.value) == (4, "0.000", "−0.250")
    assert twice.change.interval == "[−0.375, −0.125]"
    assert (twice.moved, unclear.moved) == (True, False)
    assert (unclear.change.interval, unclear.reason) == ("", "too few clusters")


def test_the_page_shows_headlines_with_and_without() -> None:
    page = study_page(small_study())
    (section,) = page.split('<section id="faults">')[1:]
    section = section.partition("</section>")[0]
    assert "<strong>−0.250</strong>" in section
    assert "<strong>0.125</strong>" not in section
    assert "the target is unclear" in section
    assert "too few clusters" in section
    assert '<section id="faults">' not in study_page(making.study())


def test_a_terminal_shows_both_kinds() -> None:
    plain = measurement("genbias", "g@1")
    assert references_text(plain) == ""
    text = references_text(dataclasses.replace(plain, references=references()), groups=False)
    first, second = text.split("without faulty items:")
    assert first.startswith("rules that know of no bias:")
    assert [line.split() for line in first.splitlines()[4:5]] == [
        ["longer", "30", "afgb", "overall", "0.125", "[0.062,", "0.188]", "30"]
    ]
    assert "profession nurse" not in first
    assert "twice    4         afgb    0.000 [-0.125, 0.125]" in second
    assert "-0.250 [-0.375, -0.125]" in second
    assert "0.125 (too few clusters)" in second
    grouped = references_text(dataclasses.replace(plain, references=references()))
    assert "profession nurse" in grouped


def test_a_number_that_is_missing_is_not_called_moved() -> None:
    nan, (_, reference, _) = math.nan, references()
    missing = [
        dataclasses.replace(each, value=nan, low=nan, high=nan) for each in reference.estimates
    ]
    changed = dataclasses.replace(reference, estimates=tuple(missing))
    study = small_study()
    (measured,) = study.measured
    item = dataclasses.replace(measured.measurement, references=(changed,))
    study = dataclasses.replace(study, measured=(dataclasses.replace(measured, measurement=item),))
    (view,) = without_views(study)
    assert [row.moved for row in view.rows] == [False]
    assert view.rows[0].change.value == "n/a"
