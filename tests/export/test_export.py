"""Any table in any format: CSV that reads back, Markdown and LaTeX that only show."""

import csv
import io
import math
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report.small_study import HOSTILE, ability, comparison, measurement, small_study

from equipoise.conclusions import Comparison
from equipoise.errors import RecipeError
from equipoise.export.export import (
    FORMATS,
    LONGEST,
    csv_text,
    export,
    latex_table,
    markdown_table,
    reader_table,
)
from equipoise.export.model_card import card_changes
from equipoise.export.tables import TABLES, changes, estimates, verdicts
from equipoise.report.formatting import visible
from equipoise.study.study import Study, plain_study

STUDY = small_study()
TEXTS = st.text() | st.text("=+-@\t\r\n,;\"'|0123456789.e", max_size=6)


def frame(*columns: list[str]) -> pd.DataFrame:
    """A table of texts, its columns named c0, c1, …"""
    named = {f"c{index}": column for index, column in enumerate(columns)}
    return pd.DataFrame(named, dtype=object)


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


# --- for a reader -------------------------------------------------------------------------------


def test_a_reader_gets_intervals_in_one_cell_and_claims_in_words() -> None:
    table = reader_table(changes(STUDY), "changes")
    assert tuple(table) == (
        "model", "mitigation", "seeds", "benchmark", "metric", "before (95 %)", "after (95 %)",
        "difference (95 %)", "unit", "ideal", "n", "p (Holm)", "direction", "claim", "reason",
    )  # fmt: skip
    assert list(table.iloc[0, 5:8]) == [
        "0.500 [0.375, 0.625]", "0.020 [-0.105, 0.145]", "-0.480 [-0.605, -0.355]",
    ]  # fmt: skip
    assert list(table["claim"]) == ["within 0 ± 0.05: shown", "loss under 2 %: not shown"]
    assert list(table["reason"]) == ["", "too few clusters for p"]
    assert list(reader_table(verdicts(STUDY), "verdicts")["kept"]) == ["not shown"] * 3


def test_what_is_missing_or_alike_is_left_out() -> None:
    table = reader_table(estimates(STUDY), "estimates")
    assert tuple(table) == (
        "model", "benchmark", "metric", "value (95 %)", "unit", "ideal", "n", "reason",
    )  # fmt: skip
    assert list(table["value (95 %)"]) == ["0.250 [0.125, 0.500]", "n/a"]
    assert tuple(reader_table(TABLES["missing"](STUDY), "missing")) == ("what", "why")
    assert "prompts" not in reader_table(TABLES["rankings"](STUDY), "rankings")
    two = pd.concat([TABLES["rankings"](STUDY)] * 2, ignore_index=True)
    two.loc[0, "prompts"] = 77
    assert "prompts" in reader_table(two, "rankings")


# --- formats --------------------------------------------------------------------------------------


@pytest.mark.thorough
@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_csv_reads_back(cells: list[tuple[str, str]]) -> None:
    rows = read(csv_text(pd.DataFrame(cells, columns=["a", "b"], dtype=object)))
    assert rows[0] == ["a", "b"]
    for row, expected in zip(rows[1:], cells, strict=True):
        for cell, text in zip(row, expected, strict=True):
            assert cell in (visible(text), "'" + visible(text))
            number = re.fullmatch(r"-?(\d+(\.\d+)?(e[+-]?\d+)?|inf)", cell)
            assert number or cell[:1] not in tuple("=+-@\t\r\n＝＋－＠") or not cell


def test_formulas_are_escaped_and_numbers_are_not() -> None:
    formulas = ["=1+1", "+1", "-a", "@x", "\tx", "\nx", "-1 [2]", "＝1", "-", "--1"]
    numbers = ["-1", "-0.5", "1e-05", "-1.5e+300", "inf", "-inf", "0", ""]
    rows = read(csv_text(frame([*formulas, *numbers], ["x"] * 18)))[1:]
    assert [text for text, _ in rows] == [*(f"'{text}" for text in formulas), *numbers]


@pytest.mark.thorough
@settings(max_examples=40)
@given(st.floats())
def test_exact_numbers_read_back_to_the_same_bits(value: float) -> None:
    text = read(csv_text(pd.DataFrame({"x": [value], "y": [True]})))[1]
    assert text[1] == "true"
    assert (text[0] == "") == math.isnan(value)
    assert not text[0] or repr(float(text[0])) == repr(value)


@pytest.mark.thorough
@pytest.mark.parametrize("name", TABLES)
def test_every_table_in_every_format(name: str) -> None:
    table = TABLES[name](STUDY)
    rows = read(export(STUDY, name, "csv"))
    assert rows[0] == list(table.columns)
    assert len(rows) == 1 + len(table)
    lines = len(reader_table(table, name))  # of `methods`, a line has several rows
    marked = export(STUDY, name, "markdown").splitlines()
    assert len(marked) == 2 + lines
    assert len({re.sub(r"\\\|", "", line).count("|") for line in marked}) == 1
    text = export(STUDY, name, "latex")
    assert text.count(r" \\") == 1 + lines
    assert text.endswith("\n")


@pytest.mark.thorough
@pytest.mark.parametrize("fmt", FORMATS)
def test_an_empty_study_has_headers_alone_and_the_same_study_the_same_text(fmt: str) -> None:
    for name in TABLES:
        text = export(Study(title="", recipe={}), name, fmt)
        assert text.count("\n") == {"csv": 1, "json": 1, "markdown": 2, "latex": 7}[fmt]
    assert export(small_study(), "changes", fmt) == export(STUDY, "changes", fmt)


@pytest.mark.thorough
def test_hostile_names_are_text_everywhere() -> None:
    assert f'"\'{HOSTILE}"'.replace('"', "") in export(STUDY, "changes", "csv")
    assert "=cmd&#124;' /C calc'!A0" in export(STUDY, "changes", "markdown")
    assert r"=cmd\textbar{}' /C calc'!A0" in export(STUDY, "changes", "latex")
    script = pd.DataFrame({"<b>": ["<script>", "![x](y)", "a\nb"]})
    lines = markdown_table(script).splitlines()
    assert [line.strip("| ") for line in lines if not line.startswith("|-")] == [
        "&lt;b&gt;", "&lt;script&gt;", "!\\[x\\](y)", "a b",
    ]  # fmt: skip


def test_intervals_are_easy_to_read_in_markdown() -> None:
    assert "| 0.500 [0.375, 0.625] |" in export(STUDY, "changes", "markdown")


def test_a_latex_table_by_hand() -> None:
    table = pd.DataFrame(
        {"metric": ["a_b", "*"], "value (95 %)": ["-0.5 [-1.0, 0.2]", "n/a"], "n": ["3", "< 1"]}
    )
    assert latex_table(table) == (
        "% \\usepackage{booktabs}\n"
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "metric & value (95 \\%) & n \\\\\n"
        "\\midrule\n"
        "a\\_b & -0.5 [-1.0, 0.2] & 3 \\\\\n"
        "{}* & n/a & \\textless{} 1 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_a_long_table_breaks_over_pages() -> None:
    rows = [str(number) for number in range(LONGEST + 1)]
    assert latex_table(frame(rows)).startswith(
        "% \\usepackage{booktabs} \\usepackage{longtable}\n\\begin{longtable}{r}"
    )
    assert "\\begin{tabular}{r}" in latex_table(frame(rows[:LONGEST]))


HARD = [
    "\\input{/etc/passwd}", "\\end{tabular}", "% gone", "a & b \\\\ c", "$x$", "#1", "^^41", "~",
    "{", "}", "\\", "--", "---", "''", "?`", "<<>>", '"a', "|", "[1]", "*", "a_b^c", "line\nend",
    "\t", "→ − ±", "é ü ç ñ ł ß ø", "中文", "🙂", "\u202eabc", "\x00\x07", "q\u0301",
]  # fmt: skip


def test_latex_is_escaped_in_every_cell() -> None:
    cells = latex_table(frame(HARD)).split("\\midrule\n")[1].split("\\bottomrule")[0]
    rows = cells.removesuffix(" \\\\\n").split(" \\\\\n")
    assert len(rows) == len(HARD)
    known = (
        r"\\[{}$&#%_]|\\text(backslash|asciitilde|asciicircum|less|greater|bar)(\{\})? ?|\\space ?"
        r"|\{\}|\\texttt\{U\+[0-9A-F]{4,6}\}"
    )
    for row, text in zip(rows, HARD, strict=True):
        rest = re.sub(known, "", row)
        assert not set(rest) & set("\\{}$&#%_^~<>|\n\t"), text
        assert all(character.isprintable() for character in rest), text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
def test_pdflatex_compiles_every_table(tmp_path: Path) -> None:
    every = [chr(code) for code in range(0x3000) if unicodedata.category(chr(code)) != "Zs"]
    lines = ["a".join(every[start : start + 20]) for start in range(0, len(every), 20)]
    frames = frame(HARD, HARD[::-1]), frame(["[2pt]", "*"]), frame(lines)
    page = "\n\n".join(map(latex_table, frames))
    (tmp_path / "page.tex").write_text(
        "\\documentclass{article}\n\\usepackage[utf8]{inputenc}\n"
        "\\usepackage{booktabs}\n\\usepackage{longtable}\n"
        f"\\begin{{document}}\n{page}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=batchmode", "-no-shell-escape", "page.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, (tmp_path / "page.log").read_text(errors="replace")[-2000:]


@pytest.mark.parametrize(
    ("table", "fmt", "message"),
    [
        ("change", "csv", "table 'change' is not known; did you mean 'changes'"),
        ("changes", "tex", "format 'tex' is not known"),
        ("x", "csv", "known: attribution_scores, attributions, calibrations"),
    ],
)
def test_unknown_names_suggest_the_nearest(table: str, fmt: str, message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        export(STUDY, table, fmt)


# --- without a study --------------------------------------------------------------------------


@pytest.mark.thorough
def test_plain_results_are_a_study(reduced: Comparison) -> None:
    study = plain_study(
        "two files", measurements=(reduced.before, reduced.after), comparisons=(reduced,)
    )
    table = estimates(study)
    overall = [estimate.value for estimate in reduced.before.estimates if not estimate.group]
    assert repr(list(table["value"])[: len(overall)]) == repr(overall)
    assert set(table["model"]) == {"likes<0.9>", "likes<0.5>"}
    verdict = verdicts(study).iloc[0]
    assert (verdict["verdict"], verdict["mitigation"]) == ("reduced", "likes<0.5>")


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
    cells = [cell.strip() for cell in table[2].split("|")]
    assert cells[1:5] == ["0 7", "genbias", "afgb", "0.500 [0.375, 0.625]"]
    assert "within 0 ± 0.05: shown" in cells
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


def test_hostile_benchmark_name_stays_in_its_cell() -> None:
    name = "x|y\n# z <b>"
    hostile = Comparison(
        before=measurement(name, "m`"),
        afters=(measurement(name, "m`+e"),),
        seed=0,
        draws=1,
        changes=comparison().changes,
    )
    text = card_changes((hostile,))
    assert "\n#" not in text
    assert "<b>" not in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
