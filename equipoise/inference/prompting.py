"""A model's prompt: put before a text, or around it where it holds `{input}`.

Around it, "Task: {input} Instructions: be brief." is a single turn of a user in a chat, and the
same text before what is scored or written in a plain model.
"""

from typing import Final

INPUT: Final = "{input}"


def prompted(prompt: str, text: str) -> str:
    """The text with the prompt before it, or around it; braces of the text are its own."""
    before, _, after = prompt.partition(INPUT)
    return before + text + after


def before_text(prompt: str) -> str:
    """What stands before a text that is scored whole: the prompt, its input left empty.

    An instruction behind a text would not be read before it, so all of it comes first.
    """
    return prompted(prompt, "")


def nested(outer: str, inner: str) -> str:
    """The prompt of a text that has the inner prompt, and all of that the outer prompt."""
    if INPUT in outer and INPUT not in inner:
        inner += INPUT
    return prompted(outer, inner)
