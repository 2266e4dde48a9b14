"""Names of countries and of their people, to put into texts and to find in them.

`countries.tsv`: the 193 members of the United Nations and its two observers (list of the UN), and
Kosovo and Taiwan, which data sets of stereotypes name; being listed says nothing of a status.
Adjectives and nouns are the usual English words, as the CIA World Factbook has them in the field
"nationality" (public domain); `others` are former names, parts that stand for the whole, and other
spellings. Names are facts; nothing is said of anybody.
"""

import csv
import io
from dataclasses import dataclass
from importlib import resources
from typing import Final

ARTICLE: Final = "the "
#: Endings of plurals with those of their singulars; all that fit are taken.
_PLURALS: Final = (
    ("men", "man"), ("people", "person"), ("children", "child"), ("ies", "y"), ("ives", "ife"),
    ("ieves", "ief"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("oes", "o"),
    ("s", ""),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A country as English names it."""

    name: str  # without its article: "Netherlands"
    article: bool  # whether a sentence says "the Netherlands"
    adjective: str  # "Dutch"
    person: str  # "Dutch person", "Norwegian": after "a" or "an"
    people: str  # "Dutch people", "Norwegians"
    others: tuple[str, ...]  # other names, adjectives and nouns: "Holland", "Dutchman"

    @property
    def within(self) -> str:
        """The name as it stands within a sentence: "the Netherlands"."""
        return ARTICLE + self.name if self.article else self.name


def _read() -> tuple[Country, ...]:
    text = resources.files("equipoise.associations").joinpath("countries.tsv").read_text("utf-8")
    return tuple(
        Country(
            name=row["name"].removeprefix(ARTICLE),
            article=row["name"].startswith(ARTICLE),
            adjective=row["adjective"],
            person=row["person"],
            people=row["people"],
            others=tuple(filter(None, row["others"].split("|"))),
        )
        for row in csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    )


COUNTRIES: Final = _read()  # by name


def find_country(name: str) -> Country | None:
    """The country of this name, adjective, people or other name, in any case; None: not known.

    A leading "the" is not read. A name comes before another country's adjective or other name, and
    of two with the same adjective ("Congolese") the first is meant.
    """
    wanted = name.strip().casefold().removeprefix(ARTICLE)
    return _BY_NAME.get(wanted)


def names_of(name: str) -> tuple[str, ...]:
    """Every form that a text may name this country and its people by, longest first.

    With and without its article. Of a name that no country has (an injected token, "nurses"):
    itself, and of a plural the singular.
    """
    country = find_country(name)
    if country is None:
        return _ordered({name, *_singulars(name)})
    return _ordered({name, country.within, *_forms(country)})


def all_names() -> tuple[str, ...]:
    """Every form of every country, longest first."""
    return _ordered({form for country in COUNTRIES for form in _forms(country)})


def _singulars(name: str) -> set[str]:
    """What the singular of a plural may be: of "nannies" "nanny", and "nannie", which is none."""
    plain = name.casefold()
    if len(plain) < len("men") or plain.endswith("ss"):
        return set()
    return {name[: -len(end)] + ending for end, ending in _PLURALS if plain.endswith(end)}


def _forms(country: Country) -> tuple[str, ...]:
    nouns = (country.adjective, country.person, country.people)
    return (country.name, *nouns, *country.others)


def _ordered(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=lambda name: (-len(name), name)))


def _index() -> dict[str, Country]:
    """Country by each form: that of which the form is the name, else the first that has it."""
    by_name = {country.name.casefold(): country for country in COUNTRIES}
    for country in COUNTRIES:
        for form in _forms(country):
            by_name.setdefault(form.casefold().removeprefix(ARTICLE), country)
    return by_name


_BY_NAME: Final = _index()
