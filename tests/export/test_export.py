"""Any table in any format: CSV that reads back, Markdown and LaTeX that only show."""

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report.small_study import HOSTILE, ability, comparison, measurement, small_study

from equipoise.conclusions import Comparison
from equipoise.errors import RecipeError
from equipoise.export.export import (
    FORMATS,
    TABLES,
    card_changes,
    csv_text,
    export,
    markdown_table,
    plain_study,
)
from equipoise.export.table_data import exact
from equipoise.report.sanitize import visible
from equipoise.report.tables import Table
from equipoise.study.study import Study

STUDY = small_study()
TEXTS = st.text() | st.text("=+-@\t\r\n,;\"'|0123456789.e", max_size=6)
TABLE = st.integers(1, 4).flatmap(
    lambda width: st.builds(
        Table,
        header=st.tuples(*[TEXTS] * width),
        rows=st.lists(st.tuples(*[TEXTS] * width), max_size=4).map(tuple),
    )
)


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@settings(max_examples=150, deadline=None)
@given(TABLE)
def test_csv_reads_back(table: Table) -> None:
    rows = read(csv_text(table))
    assert len(rows) == 1 + len(table.rows)
    for found, expected in zip(rows, (table.header, *table.rows), strict=True):
        assert len(found) == len(expected)
        for cell, text in zip(found, expected, strict=True):
            assert cell in (visible(text), "'" + visible(text))
            number = re.fullmatch(r"-?(\d+(\.\d+)?(e[+-]?\d+)?|inf)", cell)
            assert number or cell[:1] not in tuple("=+-@\t\r\n＝＋－＠") or not cell


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-a", "@x", "\tx", "\nx", "-1 [2]", "＝1", "-", "--1"]
)
def test_what_a_spreadsheet_would_compute_is_text(text: str) -> None:
    [_, [cell]] = read(csv_text(Table(header=("a",), rows=((text,),))))
    assert cell == "'" + text


@pytest.mark.parametrize("text", ["-1", "-0.5", "1e-05", "-1.5e+300", "inf", "-inf", "0", ""])
def test_numbers_stay_numbers(text: str) -> None:
    rows = read(csv_text(Table(header=("a", "b"), rows=((text, "x"),))))
    assert rows[1] == [text, "x"]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_in_every_format(name: str) -> None:
    table = exact(TABLES[name](STUDY))
    assert table.rows, name
    rows = read(export(STUDY, name, "csv"))
    assert rows[0] == list(table.header)
    assert len(set(rows[0])) == len(rows[0])
    assert len(rows) == 1 + len(table.rows)
    marked = export(STUDY, name, "markdown").splitlines()
    assert len(marked) == 2 + len(table.rows)
    assert len({re.sub(r"\\\|", "", line).count("|") for line in marked}) == 1
    text = export(STUDY, name, "latex")
    assert text.count(r" \\") == 1 + len(table.rows)
    assert {text[-1], export(STUDY, name, "csv")[-1], export(STUDY, name, "markdown")[-1]} == {"\n"}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("fmt", FORMATS)
def test_an_empty_study_has_headers_alone(name: str, fmt: str) -> None:
    text = export(Study(title="", recipe={}), name, fmt)
    assert text.count("\n") == {"csv": 1, "markdown": 2, "latex": 7}[fmt]


def test_hostile_names_are_text_everywhere() -> None:
    assert f'"\'{HOSTILE}"'.replace('"', "") in export(STUDY, "changes", "csv")
    assert "=cmd&#124;' /C calc'!A0" in export(STUDY, "changes", "markdown")
    assert r"=cmd\textbar{}{'} /C calc{'}!A0" in export(STUDY, "changes", "latex")
    script = Table(header=("<b>",), rows=(("<script>", ), ("![x](y)", )))  # fmt: skip
    assert markdown_table(script) == (
        "| &lt;b&gt; |\n| --- |\n| &lt;script&gt; |\n| !\\[x\\](y) |\n"
    )


def test_intervals_are_easy_to_read_in_markdown() -> None:
    assert "| 0.500 [0.375, 0.625] |" in export(STUDY, "changes", "markdown")


@pytest.mark.parametrize(
    ("table", "fmt", "message"),
    [
        ("change", "csv", "table 'change' is not known; did you mean 'changes'"),
        ("changes", "tex", "format 'tex' is not known"),
        ("x", "csv", "known: calibrations, changes, estimates"),
    ],
)
def test_unknown_names_are_told_the_nearest(table: str, fmt: str, message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        export(STUDY, table, fmt)


def test_the_same_study_is_the_same_text() -> None:
    for name in TABLES:
        for fmt in FORMATS:
            assert export(small_study(), name, fmt) == export(STUDY, name, fmt)


# --- without a study --------------------------------------------------------------------------


def test_plain_results_are_a_study(reduced: Comparison) -> None:
    study = plain_study(
        "two files", measurements=(reduced.before, reduced.after), comparisons=(reduced,)
    )
    table = exact(TABLES["estimates"](study))
    overall = [estimate for estimate in reduced.before.estimates if not estimate.group]
    assert [row[table.header.index("value")] for row in table.rows[: len(overall)]] == [
        "" if one.value != one.value else repr(float(one.value)) for one in overall
    ]
    assert {row[0] for row in table.rows} == {"likes<0.9>", "likes<0.5>"}
    verdicts = exact(TABLES["verdicts"](study))
    assert verdicts.rows[0][verdicts.header.index("verdict")] == "reduced"
    assert verdicts.rows[0][verdicts.header.index("mitigation")] == "likes<0.5>"


def test_comparisons_of_the_same_models_are_one_chapter() -> None:
    study = plain_study("", comparisons=(comparison(), comparison(), ability()))
    assert [len(chapter.comparisons) for chapter in study.chapters] == [2, 1]
    assert study.chapters[0].mitigation == "gpt2@1+lftf:0, gpt2@1+lftf:7"


# --- a model card -----------------------------------------------------------------------------


def test_what_a_card_says() -> None:
    text = card_changes((comparison(), ability()))
    lines = text.splitlines()
    assert lines[0].startswith(
        "From gpt2@1 to gpt2@1+lftf:0, gpt2@1+lftf:7 (taken together). Bias reduced in genbias afgb"
    )
    assert lines[2].startswith("From gpt2@1 to gpt2@1+lftf:0. No bias was measured.")
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 2
    assert table[2].startswith("| 0 7 | genbias | afgb | 0.500 [0.375, 0.625] | 0.020 [-0.105")
    assert "| within 0 ± 0.05: shown |" in table[2]
    bullets = [line for line in lines if line.startswith("- ")]
    assert bullets[0] == (
        "- genbias version 2, split test, a seeded choice of 30 examples (sha256 eeeeeeeeeeee), "
        'options {"world": null}; measured with seed 0 before and 0 after; seeds of the method: 0, '
        "7; 200 draws (seed 3); "
        "rows of groups: 1, not shown; data b/dev.json (sha256 dddddddddddd, CC&#124;BY, the "
        "official file); equipoise 0.1.0, numpy 2."
    )
    assert "all examples" in bullets[1]
    assert "no groups" in bullets[1]


def test_a_hostile_benchmark_does_not_leave_its_cell() -> None:
    name = "x|y\n# z <b>"
    one = Comparison(
        before=measurement(name, "m`"),
        afters=(measurement(name, "m`+e"),),
        seed=0,
        draws=1,
        changes=comparison().changes,
    )
    text = card_changes((one,))
    assert "\n#" not in text
    assert "<b>" not in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
