"""Cells as numbers: exact for machines, rounded for readers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.export.table_data import Column, Sheet, exact, is_numeric, rounded

NAN = math.nan
SHEET = Sheet(
    columns=(
        Column(name="name"),
        Column(name="value", kind="span", ends=("low", "high")),
        Column(name="p", kind="p"),
        Column(name="claim_value", kind="span", level=90),
        Column(name="n", kind="number"),
        Column(name="kept", unknown="not shown"),
        Column(name="seed", seen="varied"),
        Column(name="sha", seen="exact"),
        Column(name="told", seen="reader"),
        Column(name="reason"),
    ),
    rows=(
        ("a", (0.1, 0.05, 0.2), 0.0001, (NAN, NAN, NAN), 3, True, 1, "ab", "so", None),
        (
            "b",
            (np.float64(-1 / 3), NAN, NAN),
            NAN,
            (12.0, -1.0, math.inf),
            4,
            None,
            1,
            "cd",
            "",
            "",
        ),
    ),
)


def test_exact_by_hand() -> None:
    table = exact(SHEET)
    assert table.header == (
        "name", "value", "low", "high", "p", "claim_value", "claim_value_low", "claim_value_high",
        "n", "kept", "seed", "sha", "reason",
    )  # fmt: skip
    assert table.rows == (
        ("a", "0.1", "0.05", "0.2", "0.0001", "", "", "", "3", "true", "1", "ab", ""),
        ("b", "-0.3333333333333333", "", "", "", "12.0", "-1.0", "inf", "4", "", "1", "cd", ""),
    )


def test_rounded_by_hand() -> None:
    table = rounded(SHEET)
    assert table.header == (
        "name", "value (95 %)", "p", "claim value (90 %)", "n", "kept", "told",
    )  # fmt: skip
    assert table.rows == (
        ("a", "0.100 [0.050, 0.200]", "< 0.001", "n/a", "3", "yes", "so"),
        ("b", "-0.333", "n/a", "12.0 [-1.0, inf]", "4", "not shown", ""),
    )


def test_without_rows_every_column_of_a_reader_stays() -> None:
    empty = Sheet(columns=SHEET.columns, rows=())
    assert rounded(empty).header == (*rounded(SHEET).header, "reason")
    assert exact(empty).header == exact(SHEET).header


def test_what_varies_is_shown() -> None:
    rows = tuple((*row[:6], seed, *row[7:]) for seed, row in enumerate(SHEET.rows))
    assert "seed" in rounded(Sheet(columns=SHEET.columns, rows=rows)).header


@given(st.tuples(st.floats(), st.floats(), st.floats()))
def test_exact_numbers_read_back_to_the_same_bits(span: tuple[float, float, float]) -> None:
    sheet = Sheet(columns=(Column(name="x", kind="span"),), rows=((span,),))
    for text, value in zip(exact(sheet).rows[0], span, strict=True):
        assert (text == "") == math.isnan(value)
        assert not text or float(text) == value
    assert text == "" or math.copysign(1, float(text)) == math.copysign(1, span[2])


@given(st.floats(), st.floats(), st.floats())
def test_every_rounded_number_is_known_for_one(value: float, low: float, high: float) -> None:
    sheet = Sheet(columns=(Column(name="x", kind="span"),), rows=(((value, low, high),),))
    [[text]] = rounded(sheet).rows
    assert text == "n/a" or is_numeric(text) or "n/a" in text


@pytest.mark.parametrize(
    "text", ["", "n/a", "a1", "1a", "=1", "1 [a]", "-", "1 [1](x)", "1\n", "inf x"]
)
def test_other_texts_are_no_numbers(text: str) -> None:
    assert not is_numeric(text)
