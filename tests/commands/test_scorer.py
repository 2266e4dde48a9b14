"""`equipoise scorer`: tables, JSON, and what is misspelt."""

import json

import pytest

from equipoise.cli import run


def test_gaps_and_terms_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scorer", "gender_polarity", "--axis", "gender", "--draws", "100"]) == 0
    out = capsys.readouterr().out
    assert "gender_polarity has no number for neutral sentences about nonbinary" in out
    # without a gendered word a neutral sentence has no number that a shift could be counted from
    assert "n/a" in out


@pytest.mark.thorough
def test_json_has_every_term(capsys: pytest.CaptureFixture[str]) -> None:
    words = "scorer length --axis religion --axis age --json --draws 50"
    assert run(words.split()) == 0
    document = json.loads(capsys.readouterr().out)
    assert [*document["axes"]] == ["religion", "age"]
    gap = document["axes"]["age"]["gaps"][0]
    assert (gap["scale"], gap["n"]) == ("length_words", 20)
    terms = document["axes"]["religion"]["terms"]
    assert len(terms) == 3 * 21


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("scorer vadr", "text scorer 'vadr' is not known; did you mean 'vader'"),
        ("scorer length --axis religon", "did you mean 'religion'"),
        ("scorer length --scale length_word", "did you mean 'length_words'"),
    ],
)
def test_what_is_misspelt_is_answered(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words.split()) == 2
    assert message in capsys.readouterr().err
