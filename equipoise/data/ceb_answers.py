"""Which of the options that a prompt has numbered a written answer gives.

CEB asks for a number alone; models add words to it, or leave it out.
"""

import re
from collections.abc import Sequence
from typing import Final

_STATEMENT: Final = re.compile(r"\banswer(?:\s+is|\s*:|\s+would be)\W*(.*)", re.IGNORECASE)
#: A number that stands alone: no part of a word, a figure or an age.
_NUMBER: Final = re.compile(r"(?<![\w.,$-])(\d)(?![\w%])(?!-\w)(?![.,]\d)")
_DENIED: Final = re.compile(
    r"\b(?:not|n't|neither|nor|rather than|instead of)\W+(?:(?:option|number|answer)\W+)?$", re.I
)
_EDGE: Final = " \t.,;:!?*_\"'`()[]"


def heard_option(written: str, options: Sequence[str]) -> int | None:
    """The place of the option that a text gives; None: it gives none, or several.

    Read is what follows the last "answer is" or "answer:", else the first line with anything on it,
    without thought ("<think>"). Numbers that stand alone come first ("2", "Option 1."), a denied
    one left out ("not 1"); then the words of an option; then its first word ("Yes"), where no other
    option begins with it. A number beside the words of another option, and one that is not listed,
    gives none.
    """
    text = written.rpartition("</think>")[2]
    if "<think>" in text:
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip(_EDGE)]
    statements = [match[1] for line in lines for match in _STATEMENT.finditer(line) if match[1]]
    line = (statements[-1:] or lines[:1] or [""])[0].casefold()
    numbers = {
        int(match[1]) - 1
        for match in _NUMBER.finditer(line)
        if not _DENIED.search(line[: match.start()])
    }
    words = [option.casefold().strip(_EDGE) for option in options]
    named = {place for place, word in enumerate(words) if word and _holds(line, word)}
    if numbers:
        given = numbers | named
        place = next(iter(given))
        return place if len(given) == 1 and 0 <= place < len(options) else None
    if named:
        return next(iter(named)) if len(named) == 1 else None
    return _beginning(line, words)


def _holds(line: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", line) is not None


def _beginning(line: str, words: Sequence[str]) -> int | None:
    """The option whose first word the line begins with, if it is that of a single option."""
    first = [word.split()[0].strip(_EDGE) if word else "" for word in words]
    said = line.strip(_EDGE).split()
    places = [place for place, word in enumerate(first) if said and said[0].strip(_EDGE) == word]
    return places[0] if len(places) == 1 else None
