"""Fill: put the name of whom it is about in place of the slot."""

import re
from typing import Final

from equipoise.associations.association import SLOT, capitalize
from equipoise.associations.countries import ARTICLE, find_country

#: A slot, with what says before it that a sentence begins: the beginning of the text or a line, the
#: end of another sentence, or the words that ask to continue a sentence.
_SLOT: Final = re.compile(
    rf"(?P<start>^\W*|\n\W*|[.!?]['\"”’)]*\s+['\"“‘(]*|\bsentence:\s+['\"“‘]*)?"
    rf"{re.escape(SLOT)}(?P<owner>['’]s(?!\w))?"
)


def fill(text: str, target: str) -> str:
    """The text about this target: "{target}'s cooks" is "the Netherlands' cooks".

    A country gets the article that English gives it ("people from the United States"). A plural in
    "s" gets a bare apostrophe as the owner ("nurses'", "the Netherlands'"), another name "'s". At
    the beginning of a sentence the first letter is in upper case; a token ("<BiasToken>") stays as
    it is. A text without the slot is unchanged.
    """
    name = _within(target)
    plural = name.endswith("s") and (name.startswith(ARTICLE) or name.islower())

    def filled(match: re.Match[str]) -> str:
        start, owner = match["start"], match["owner"] or ""
        shown = name if start is None else start + capitalize(name)
        return shown + (owner[:1] if plural else owner)

    return _SLOT.sub(filled, text)


def _within(target: str) -> str:
    """The target as it stands within a sentence."""
    country = find_country(target)
    if country is not None and target.casefold() == country.name.casefold():
        return country.within if country.article else target
    return target
