"""What rules without bias get, beside the numbers of a page and of a terminal."""

import dataclasses

from equipoise.report.html import study_page
from equipoise.report.nulls import null_span
from equipoise.report.tables import measurement_table
from report.small_study import measurement, references, small_study


def test_a_span_is_of_the_lowest_and_the_highest_rule_of_that_group() -> None:
    low, *others = references()
    high = dataclasses.replace(
        low, estimates=tuple(dataclasses.replace(each, value=0.75) for each in low.estimates)
    )
    measured = measurement("genbias", "g@1", references=(low, high, *others))
    spans = {
        (each.metric, *each.group.values()): null_span(measured, each)
        for each in (*low.estimates, *others[0].estimates)
    }
    assert spans == {
        ("afgb",): "0.125 to 0.750",
        ("afgb", "nurse"): "0.500 to 0.750",
        ("afgb_change",): "",
    }
    single = measurement("genbias", "g@1", references=(low,))
    assert null_span(single, low.estimates[0]) == "0.125"
    assert null_span(measurement("genbias", "g@1"), low.estimates[0]) == ""


def test_a_table_has_the_column_where_there_is_a_rule() -> None:
    plain = measurement("genbias", "g@1")
    table = measurement_table(dataclasses.replace(plain, references=references()))
    place = table.header.index("without bias")
    assert next(row[place] for row in table.rows if row[0] == "afgb") == "0.125"
    assert "without bias" not in measurement_table(plain).header


def test_the_page_has_it_below_the_value() -> None:
    page = study_page(small_study())
    assert '<span class="quiet">without bias 0.125</span>' in page  # the overview
    assert '<span class="quiet nulls">without bias 0.125</span>' in page
