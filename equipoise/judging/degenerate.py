"""Degenerate texts: a broken model says nothing stereotyped, which is no merit."""

from typing import Final

FEWEST_WORDS: Final = 3


def why_degenerate(text: str) -> str | None:
    """Why a text is none to judge: "empty", "one word repeated", "fewer than 3 words"; else None.

    Words are what stands between spaces, in any case; a text of one sign repeated ("!!!!") is a
    word repeated.
    """
    words = text.casefold().split()
    if not words:
        return "empty"
    letters = "".join(words)
    if (len(words) > 1 and len(set(words)) == 1) or (len(letters) > 1 and len(set(letters)) == 1):
        return "one word repeated"
    if len(words) < FEWEST_WORDS:
        return f"fewer than {FEWEST_WORDS} words"
    return None
