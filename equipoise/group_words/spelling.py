"""A word in another's place, spelled as that one was: its case, its spaces, the "a" before it."""

import re
from typing import Final, Literal, TypeAlias

#: As in a list; all capitals; a capital on each word; on the first alone; none.
Spelling: TypeAlias = Literal["listed", "upper", "title", "sentence", "lower"]

_SENTENCE: Final = re.compile(r"(?:^|[.!?][\"'”’)\]]*\s+|\n\s*\n)[\"'“‘(\[]*$")
_ARTICLE: Final = re.compile(r"(?<![\w'’.-])(an?)(\s+)$", re.IGNORECASE)
_VOWEL: Final = re.compile(r"(?!eu|ew|one|uni(?!n)|u[st][aeiou])[aeiou]|heir|hour|honest|honou?r")


def spelling(source: str, listed: str) -> Spelling | None:
    """How a source spells a listed word or phrase, white space aside; None for mixed case."""
    words, plain = source.replace("’", "'").split(), listed.split()
    lower = [one.lower() for one in plain]
    title = [_capital(one) for one in lower]
    if words == plain:
        return "listed"
    if all(word.isupper() for word in words):
        return "upper"
    if words == title:
        return "title"
    if words == [title[0], *lower[1:]] or words == [title[0], *plain[1:]]:
        return "sentence"
    return "lower" if words == lower else None


def spelled_alike(target: str, *, listed: str, source: str, before: str) -> str:
    """`target`, in the case and with the white space of `source`, which spells `listed`.

    A word spelled as listed gives `target` as it is, but for a capital at the beginning of a
    sentence, which `before` (the text up to it) tells. White space is taken over run by run; a
    longer phrase goes on with single spaces.
    """
    kind = spelling(source, listed)
    words = target.split()
    if kind == "upper":
        words = [word.upper() for word in words]
    elif kind == "lower":
        words = [word.lower() for word in words]
    elif kind == "title":
        words = [_capital(word) for word in words]
    elif kind == "sentence" or (source[0].isupper() and _SENTENCE.search(before)):
        words[0] = _capital(words[0])
    gaps = re.findall(r"\s+", source)
    gaps += [" "] * len(words)
    return words[0] + "".join(gap + word for gap, word in zip(gaps, words[1:], strict=False))


def with_article(before: str, source: str, target: str) -> str:
    """`before`, whose final "a" or "an" is the other one where `target` needs it.

    Only when the article agreed with `source`, and `target` begins with the other kind of sound.
    """
    article = _ARTICLE.search(before)
    was, needed = _begins_with_vowel(source), _begins_with_vowel(target)
    if article is None or was == needed or (len(article[1]) == 2) != was:
        return before
    more = "N" if target.isupper() else "n"
    new = article[1] + more if needed else article[1][0]
    return before[: article.start()] + new + article[2]


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _begins_with_vowel(word: str) -> bool:
    return _VOWEL.match(word.lower()) is not None
