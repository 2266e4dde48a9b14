"""Tokens of a server and the characters that they cover, told by their texts."""

import pytest

from equipoise.models.tokenization import Marked
from equipoise.remote.alignment import align
from equipoise.remote.wire import UNKNOWN, UnreadableError

TEXT = "The nurse said she"
BORDER = Marked(TEXT, len("The nurse said"), len(TEXT))


def test_tokens_after_the_border_are_scored() -> None:
    tokens, front = align(BORDER, ("The", " nurse", " said", " she"), None)
    assert (tokens.marked, front) == ((3,), 0)
    assert tokens.spans == ((0, 3), (3, 9), (9, 14), (14, 18))


def test_a_token_across_the_border_is_scored() -> None:
    tokens, _ = align(BORDER, ("The", " nur", "se sa", "id sh", "e"), None)
    assert tokens.marked == (3, 4)


@pytest.mark.parametrize("start", ["<s>", "", UNKNOWN, "<|begin_of_text|>"])
def test_a_start_token_is_no_part_of_the_text(start: str) -> None:
    tokens, front = align(BORDER, (start, "The", " nurse", " said", " she"), (9, 1, 2, 3, 4))
    assert (tokens.ids, tokens.marked, front) == ((1, 2, 3, 4), (3,), 1)


def test_spaces_of_sentencepiece() -> None:
    """One before the text, or none at all: either is the following token's."""
    tokens, front = align(BORDER, ("<s>", " The", " nurse", " said", " she"), None)
    assert (tokens.spans[0], tokens.marked, front) == ((0, 3), (3,), 1)
    tokens, front = align(BORDER, ("<s>", "The", "nurse", "said", "she"), None)
    assert (tokens.spans[1:], front) == (((3, 9), (9, 14), (14, 18)), 1)


def test_a_first_token_that_is_not_told() -> None:
    tokens, front = align(BORDER, (UNKNOWN, " nurse", " said", " she"), (1, 2, 3, 4))
    assert (tokens.spans[0], front) == ((0, 3), 0)


BROKEN = ("The", " caf", UNKNOWN, UNKNOWN, " is", " open")  # é in two bytes


def test_a_broken_character_before_the_border() -> None:
    text = "The café is open"
    tokens, front = align(Marked(text, 11, 16), BROKEN, None)
    assert (tokens.marked, front) == ((5,), 0)
    assert tokens.spans[2:4] == ((7, 8), (7, 8))
    assert tokens.bytes_of([2, 3]) == 2


def test_a_broken_character_after_the_border() -> None:
    tokens, _ = align(Marked("The café is open", 3, 16), BROKEN, None)
    assert tokens.marked == (1, 2, 3, 4, 5)


def test_a_first_token_that_is_not_told_before_a_broken_character() -> None:
    tokens, _ = align(Marked("The café is open", 11, 16), (UNKNOWN, *BROKEN[1:]), None)
    assert (tokens.spans[0], tokens.spans[2]) == ((0, 3), (7, 8))


def test_a_border_among_broken_characters() -> None:
    with pytest.raises(UnreadableError, match="around the border of what is scored"):
        align(Marked("éé is", 1, 5), (UNKNOWN, UNKNOWN, UNKNOWN, " is"), None)


def test_broken_tokens_of_other_characters_differ() -> None:
    first, _ = align(Marked("a é", 0, 3), ("a ", UNKNOWN, UNKNOWN), None)
    same, _ = align(Marked("a é", 0, 3), ("a ", UNKNOWN, UNKNOWN), None)
    other, _ = align(Marked("a ü", 0, 3), ("a ", UNKNOWN, UNKNOWN), None)
    assert first.ids == same.ids
    assert (first.ids[0], first.ids[1:]) == (other.ids[0], first.ids[1:])
    assert not set(first.ids[1:]) & set(other.ids[1:])


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        ((" nurse", " said", " she"), "cuts a text of 18 characters to 15"),
        (("The", " nurse"), "cuts a text of 18 characters to 9"),
        ((" on", " the", " mat"), "other tokens"),
        (
            ("the", " nurse", " said", " she"),
            None,
        ),  # in lower case it is a start token, and too few
        (("<s>", "<s>", "<s>", "The", " nurse", " said", " she"), "puts 3 tokens before"),
        ((), "other tokens"),
    ],
)
def test_what_is_not_the_text(texts: tuple[str, ...], what: str | None) -> None:
    with pytest.raises(UnreadableError, match=what):
        align(BORDER, texts, None)
