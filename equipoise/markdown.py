"""Text that a model, a folder or a data file brought along, made harmless in Markdown.

CommonMark 0.31 with GitHub's tables and formulas between dollars, as the Hub shows model cards.
"""

import re
import unicodedata
from collections.abc import Iterable

_UNSEEN = ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp")  # Unicode categories; Cf turns other text round
_JOINERS = "\u200c\u200d"  # of category Cf; whole scripts need them within words
_ENTITY = {"\\": "&#92;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_MARKS = re.compile(r"[`*\[\]~$]|(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word is none
#: What turns a line into a heading, a list or a rule.
_OPENING = re.compile(r"^(#{1,6}(?=\s|$)|[+-](?=\s|$)|[=-](?=[=\s-]*$)|\d{1,9}[.)](?=\s|$))")


def markdown_text(text: str) -> str:
    """The text as inline Markdown that reads as the text and as nothing else.

    White space becomes single spaces; a character that cannot be seen, or that turns others
    round, becomes U+FFFD. Safe in a line, in a list item and in a cell. A bare
    address may still be shown as a link to itself.
    """
    # before the entities below, whose own ampersands must stay
    plain = re.sub(r"&(?=[#A-Za-z])", "&amp;", _show_unseen(" ".join(text.split())))
    plain = re.sub(r"[\\<>|]", lambda match: _ENTITY[match[0]], plain)
    plain = _MARKS.sub(lambda match: "\\" + match[0], plain)
    # a backslash before the last character of what would open a heading, a list or a rule
    return _OPENING.sub(lambda match: f"{match[0][:-1]}\\{match[0][-1]}", plain)


def _show_unseen(text: str) -> str:
    return "".join(
        "\ufffd" if unicodedata.category(character) in _UNSEEN and character not in _JOINERS
        else character
        for character in text
    )  # fmt: skip


def code_block(lines: Iterable[str], language: str) -> str:
    """Lines as a block of code, in a fence longer than any inside.

    A line end inside a line, and what cannot be seen, becomes U+FFFD.
    """
    harmless = [_show_unseen(line) for line in lines]
    ticks = re.findall("`+", "\n".join(harmless))
    fence = "`" * max([3, *(len(tick) + 1 for tick in ticks)])
    return "\n".join([f"{fence}{language}", *harmless, fence])
