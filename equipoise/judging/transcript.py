"""A conversation as a text, for judges and readers, and the answers in it."""

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

USER: Final = "User"
ASSISTANT: Final = "Assistant"
#: In an answer: it would pass for a turn.
_TURN: Final = re.compile(rf"^(?={USER}:|{ASSISTANT}:)", re.MULTILINE)


def transcript(turns: Sequence[str], answers: Sequence[str]) -> str:
    """The user's turns, each with the answer to it; turns without an answer come last.

    White space at the ends of answers is left out. A line of an answer that begins as a turn does
    gets a space before it, so that no answer can say what the user said.
    """
    parts = []
    for turn, text in zip_longest(turns, answers):
        parts.append(f"{USER}: {turn}")
        if text is not None:
            parts.append(f"{ASSISTANT}: {_TURN.sub(' ', text.strip())}")
    return "\n\n".join(parts)


def answers_in(text: str, turns: Sequence[str]) -> tuple[str, ...]:
    """The answers in a transcript of these turns, all of them answered.

    Raises `ValueError` for another text.
    """
    answers: list[str] = []
    rest = f"\n\n{text}"
    for number, turn in enumerate(turns):
        before, opening, rest = rest.partition(f"\n\n{USER}: {turn}\n\n{ASSISTANT}: ")
        if not opening or (before and not number):
            raise ValueError(
                f"a transcript must hold the answers to {len(turns)} turns, got {len(answers)}"
            )
        if number:
            answers.append(before)
    return (*answers, rest) if turns else ()
