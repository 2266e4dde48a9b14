"""Numbers and foreign texts as a reader sees them.

Hostile text: what cannot be seen, or turns other text round, is shown as a mark (Unicode 16,
chapter 23; Boucher and Anderson 2021, arXiv 2111.00169, on what such characters can hide).
"""

import re
from collections.abc import Mapping

from equipoise.records import JSON

LONGEST = 2000  # characters of a text that are shown
LONGEST_NAME = 160  # of a name in a heading or a cell
_LETTERS = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
_RIGHT_TO_LEFT = re.compile(f"[{_LETTERS}](?:[{_LETTERS} ]*[{_LETTERS}])?")


def start_text(info: Mapping[str, JSON]) -> str:
    """What texts began with and why: "'<s>' (auto: BOS)"; "" where it was not recorded."""
    if "start_reason" not in info or info.get("kind") != "causal":
        return ""
    token = info.get("start_token")
    return f"{'none' if token is None else repr(token)} ({info['start_reason']})"


def form_text(info: Mapping[str, JSON]) -> str:
    """How a model with a chat template was asked: "plain text", "chat, ..."; "" for others."""
    chat = info.get("chat")
    if not isinstance(chat, dict):
        is_plain = info.get("kind") == "causal" and info.get("chat_template") and "chat" in info
        return "plain text" if is_plain else ""
    if chat["reading"] == "question":
        where = "a question in the user's turn, its answer in the model's"
    elif chat["turn"] == "user":
        where = "text in the user's turn"
    else:
        where = f"text in the model's turn after {chat['request']!r}"
    system = "that of the template" if chat["system"] is None else repr(chat["system"])
    return f"chat, {where}; system prompt: {system}"


def visible(text: str) -> str:
    """The text with every control and direction mark shown: "␇" for a bell, "⟨U+202E⟩".

    Line feeds and tabs stay. Joiners within a word (U+200C, U+200D) stay, since whole scripts need
    them. Half a surrogate pair is shown too, so that what is given back is always valid UTF-8.
    """
    return text.translate(_MARKS)


def isolated(text: str) -> str:
    """The text with each run of right-to-left letters kept to itself.

    The numbers and signs that follow a name would be turned round with it otherwise. For names and
    sentences; a whole text goes into an element of its own direction instead.
    """
    return _RIGHT_TO_LEFT.sub("\u2068\\g<0>\u2069", text)


def harmless(text: str) -> str:
    """A name or a sentence `visible` and `isolated`; it is still to be escaped."""
    # what is plain and printable has nothing to be hidden
    return text if text.isascii() and text.isprintable() else isolated(visible(text))


def clipped(text: str, most: int = LONGEST, *, with_length: bool = True) -> str:
    """The text, cut behind `most` characters, followed by its length if that is wanted."""
    if len(text) <= most:
        return text
    length = f" (cut here: {len(text):,} characters in all)" if with_length else ""
    return f"{text[:most]}…{length}"


_INVISIBLE = (
    (0x80, 0x9F),  # C1 controls
    (0xAD, 0xAD),  # soft hyphen
    (0x61C, 0x61C),  # Arabic letter mark
    (0x180E, 0x180E),
    (0x200B, 0x200B),  # zero-width space
    (0x200E, 0x200F),  # direction marks
    (0x2028, 0x202E),  # line and paragraph separators, direction embeddings and overrides
    (0x2060, 0x206F),  # invisible operators, direction isolates
    (0xD800, 0xDFFF),  # half surrogate pairs
    (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB),  # interlinear annotation
    (0xFFFE, 0xFFFF),
    (0xE0000, 0xE007F),  # tags: text that nobody sees
)
_MARKS = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: "␡",
    **{code: f"⟨U+{code:04X}⟩" for a, z in _INVISIBLE for code in range(a, z + 1)},
}
