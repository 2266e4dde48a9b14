"""Hostile text: everything is seen, nothing is lost, and it is always valid UTF-8."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.report.formatting import LONGEST, clipped, isolated, visible

ANY = st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF))


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("a\x07b", "a␇b"),
        ("\x00\x1b[31m", "␀␛[31m"),
        ("\x7f", "␡"),
        ("\r\n\t", "␍\n\t"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("\u2066\u200f\u061c", "⟨U+2066⟩⟨U+200F⟩⟨U+061C⟩"),
        ("\x85\u2028", "⟨U+0085⟩⟨U+2028⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("नमस्ते می\u200cخواهم 👩\u200d🔬", "नमस्ते می\u200cخواهم 👩\u200d🔬"),
    ],
)
def test_invisible_characters_are_shown(hidden: str, shown: str) -> None:
    assert visible(hidden) == shown


@pytest.mark.thorough
@given(ANY)
def test_sanitizing_removes_hostile_characters_and_is_idempotent(text: str) -> None:
    shown = visible(text)
    assert not {
        character for character in shown if unicodedata.category(character) in ("Cc", "Cs")
    } - {"\n", "\t"}
    assert not {"LRO", "RLO", "LRE", "RLE", "LRI", "RLI", "FSI", "PDI", "PDF"} & {
        unicodedata.bidirectional(character) for character in shown
    }
    assert shown.encode("utf-8") or not text
    assert visible(shown) == shown


def test_long_texts_are_truncated_with_a_notice() -> None:
    assert clipped("x" * LONGEST) == "x" * LONGEST
    cut = clipped("x" * 1_000_000)
    assert cut == "x" * LONGEST + "… (cut here: 1,000,000 characters in all)"
    assert clipped("abcdef", 3, with_length=False) == "abc…"


def test_right_to_left_name_is_isolated() -> None:
    assert isolated("gpt2: 0.1 → 0.2") == "gpt2: 0.1 → 0.2"
    assert isolated("גבר טוב 0.1") == "\u2068גבר טוב\u2069 0.1"
    assert isolated("مرحبا") == "\u2068مرحبا\u2069"
