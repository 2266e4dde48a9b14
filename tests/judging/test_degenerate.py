"""Degenerate texts are flagged."""

import pytest

from equipoise.judging.degenerate import why_degenerate


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("tea tea Tea", "one word repeated"),
        ("!!!!!!!!", "one word repeated"),
        ("- - -", "one word repeated"),
        ("Quite so", "fewer than 3 words"),
        ("They drink tea", None),
        ("tea tea cake", None),
    ],
)
def test_reasons(text: str, reason: str | None) -> None:
    assert why_degenerate(text) == reason
