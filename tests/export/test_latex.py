"""LaTeX of hostile cells: nothing keeps a meaning, and pdflatex sets it (where there is one)."""

import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.export.latex import LONGEST, latex, latex_text
from equipoise.report.tables import Table

#: Everything that may begin with a backslash, hold a dollar or a tilde: each does nothing but show.
KNOWN = re.compile(
    r"\\[{}$&#%_]"
    r"|\\(?:textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|ldots"
    r"|copyright|pounds|ss|ae|AE|oe|OE|o|O|l|L|i|S)\{\}"
    r"|\{\\char\d\d\}|\{['`]\}|\{``\}|\{''\}|\{--\}|\{---\}|\{[?!]`\}|\{\}"
    r"|\\[`'^~=u.\"rHvc]\{[A-Za-z]\}"
    r"|\\texttt\{U\+[0-9A-F]{4,6}\}"
    r"|\$(?:-|\\[A-Za-z]+|\^\{\\circ\})\$"
)
PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -.,:;!?()[]/*+=@")

HARD = [
    "\\input{/etc/passwd}", "\\end{tabular}", "% gone", "a & b \\\\ c", "$x$", "#1", "^^41", "~",
    "{", "}", "\\", "--", "---", ",,", "''", "``", "?`", "!`", "<<>>", '"a', "|", "[1]", "*",
    "a_b^c", "line\nend", "\t", "→ − ±", "é ü ç ñ ł ß ø", "中文", "🙂", "\u202eabc",
    "\x00\x07", "\ud800", "e\u0301", "q\u0301", "\u0301", "²", "ﬁ", "Ω",
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text("\\{}$&#%_~^<>|\"'`-,? \naé→中\u0301"))
def test_nothing_but_what_shows_is_left(text: str) -> None:
    rest = KNOWN.sub("", latex_text(text))
    assert set(rest) <= PLAIN, rest


@pytest.mark.parametrize("text", HARD)
def test_hard_cases_hold_nothing_else_either(text: str) -> None:
    assert set(KNOWN.sub("", latex_text(text))) <= PLAIN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text", "plain text"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("50 % & more_#1", r"50 \% \& more\_\#1"),
        ("a→b", r"a$\rightarrow$b"),
        ("−1", "$-$1"),
        ("café", r"caf\'{e}"),
        ("cafe\u0301", r"caf\'{e}"),
        ("Ź", r"\'{Z}"),
        ("中", r"\texttt{U+4E2D}"),
        ("\u202ex", r"\texttt{U+202E}x"),
        ("a\n b", "a b"),
        ("--set", "-{}-set"),
        ("<", r"\textless{}"),
    ],
)
def test_by_hand(text: str, expected: str) -> None:
    assert latex_text(text) == expected


def test_a_table_by_hand() -> None:
    table = Table(
        header=("metric", "value (95 %)", "n"),
        rows=(("a_b", "-0.5 [-1.0, 0.2]", "3"), ("*", "n/a", "< 1")),
    )
    assert latex(table) == (
        "% \\usepackage{booktabs}\n"
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "{}metric & value (95 \\%) & n \\\\\n"
        "\\midrule\n"
        "{}a\\_b & $-$0.5 [$-$1.0, 0.2] & 3 \\\\\n"
        "{}* & n/a & \\textless{} 1 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_a_long_table_breaks_over_pages_and_an_empty_one_stands() -> None:
    rows = tuple((str(k),) for k in range(LONGEST + 1))
    long = latex(Table(header=("n",), rows=rows))
    assert long.startswith(
        "% \\usepackage{booktabs} \\usepackage{longtable}\n\\begin{longtable}{r}"
    )
    assert "\\endhead" in long
    assert "\\begin{tabular}{r}" in latex(Table(header=("n",), rows=rows[:LONGEST]))
    assert "\\begin{tabular}{rr}" in latex(Table(header=("a", "b"), rows=()))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
def test_pdflatex_sets_all_of_it(tmp_path: Path) -> None:
    ranges = (*range(0x3000), *range(0xFB00, 0xFB10), *range(0x1F600, 0x1F610))
    every = [chr(code) for code in ranges if unicodedata.category(chr(code)) != "Zs"]
    lines = ["a".join(every[k : k + 20]) for k in range(0, len(every), 20)]
    hard = Table(header=tuple(HARD[:3]), rows=tuple((one, one + one, "-1") for one in HARD))
    tables = [
        latex(hard),
        latex(Table(header=("*", "[x]"), rows=(("[2pt]", "*"), ("*", "[2pt]")))),
        latex(Table(header=("characters",), rows=tuple((line,) for line in lines))),
    ]
    page = "\n\n".join(tables)
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
    log = (tmp_path / "page.log").read_text(errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert "Missing character" not in log
    assert (tmp_path / "page.pdf").is_file()
