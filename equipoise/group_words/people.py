"""Whom examples are about: the same people under any of its names, "Syria" and "Syrians".

Names of the same people come from three lists: the countries of `associations.countries` with their
adjectives and nouns, plurals of the gender words of `word_lists.json`, and `people.yaml`, which has
what these lack. A file of the user's own has the form of `people.yaml`:

    same:             # a name, and its other names
      Syria: [Syrian, Syrians]
    plural: [nurse]   # words whose plural is regular

Both parts may be left out. A name is read in any case, with or without "the" before it and "people"
or "person" behind it. A name that a later list has is taken out of the earlier ones; in a list it
may stand once, and what may mean two peoples ("Congolese") is a people of its own.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, StringConstraints, ValidationError

from equipoise.associations.countries import ARTICLE, COUNTRIES
from equipoise.data.sources import OWN_LICENCE
from equipoise.errors import DataError
from equipoise.files.yaml_data import parse_yaml, read_yaml
from equipoise.records import Contrast, DataUse, Example

_BUILT_IN: Final = resources.files("equipoise.group_words").joinpath("people.yaml")
_WORD_LISTS: Final = resources.files("equipoise.group_words").joinpath("word_lists.json")
_NOUNS: Final = (" people", " person")
_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Document(BaseModel, extra="forbid"):
    same: dict[_Name, tuple[_Name, ...]] = {}
    plural: tuple[_Name, ...] = ()


class _BuiltIn(_Document):
    belongs: dict[_Name, _Name] = {}


@dataclass(frozen=True, slots=True)
class Aliases:
    """Which names are of the same people."""

    people: Mapping[str, str]  # a name to that of its people, both without case and article

    def of(self, term: str) -> str:
        """The name of the people that a term names, without case; an unknown term names itself."""
        key = _key(term)
        for noun in _NOUNS:
            if key not in self.people:
                key = key.removesuffix(noun)
        return self.people.get(key, _key(term))

    def named_in(self, text: str, terms: Iterable[str] = ()) -> frozenset[str]:
        """The peoples that a text names: of those that are listed, and of further terms.

        Of names that begin together the longest counts: "South African" is not "African".
        """
        people = {**{_key(term): self.of(term) for term in terms}, **self.people}
        longest = max(name.count(" ") for name in people) + 1
        words = [word.removesuffix("'s") for word in _WORD.findall(_key(text))]
        named, start = set(), 0
        while start < len(words):
            for count in range(min(longest, len(words) - start), 0, -1):
                name = " ".join(words[start : start + count])
                if name in people:
                    named.add(people[name])
                    break
            start += count
        return frozenset(named)

    def target_people(self, examples: Iterable[Example | Contrast]) -> set[tuple[str, str]]:
        """Whom they are about: bias type ("" where none is named) and people."""
        return {(axis, self.of(term)) for axis, term in target_terms(examples)}


def people_of(term: str) -> str:
    """The name of the people that a term names by the built-in lists (`Aliases.of`).

    "Syrians" and "Syria" are "syria"; a term that no list knows is itself, without case.
    """
    return _built_in().of(term)


def target_people(examples: Iterable[Example | Contrast]) -> set[tuple[str, str]]:
    """Whom they are about by the built-in lists: bias type ("" where none is named) and people."""
    return _built_in().target_people(examples)


def with_own(people: Mapping[str, str]) -> Aliases:
    """The built-in lists, and names of the user's own after them, as `own_people` gives them."""
    return Aliases({**_built_in().people, **people}) if people else _built_in()


def own_people(file: str | None) -> dict[str, str]:
    """The names of a file of the user's own, each with that of its people; errors as below."""
    if file is None:
        return {}
    document, _ = read_yaml(Path(file).expanduser(), "file of aliases")
    return _read(document, Path(file).name)


def target_terms(examples: Iterable[Example | Contrast]) -> set[tuple[str, str]]:
    """What they call whom they are about: bias type ("" where none is named) and term, no case."""
    return {
        (example.groups.get("axis", ""), example.groups["target"].casefold())
        for example in examples
        if "target" in example.groups
    }


def read_aliases(file: str | None = None) -> Aliases:
    """The built-in lists, and a file of the user's own after them.

    Raises `RecipeError` for a file that is no YAML, `DataError` naming the file for a name that is
    empty or stands for two peoples.
    """
    return with_own(own_people(file))


def aliases_use(file: str) -> DataUse:
    """What a result records of a user's file of aliases."""
    path = Path(file).expanduser()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return DataUse(name=path.name, sha256=digest, licence=OWN_LICENCE, verified=None)


def wider(people: str) -> str:
    """Whom a people, or what is a religion's, belongs to, by its name; others are themselves.

    Not the same people: that Iran was learnt says that Persians are not unrelated to it.
    """
    return _belongs().get(people, people)


@cache
def _belongs() -> Mapping[str, str]:
    document, _ = parse_yaml(_BUILT_IN.read_text("utf-8"), "people.yaml", "file of aliases")
    belongs, known = _BuiltIn.model_validate(document).belongs, _built_in()
    return {known.of(name): known.of(owner) for name, owner in belongs.items()}


@cache
def _built_in() -> Aliases:
    document, _ = parse_yaml(_BUILT_IN.read_text("utf-8"), "people.yaml", "file of aliases")
    document = _BuiltIn.model_validate(document).model_dump(exclude={"belongs"})
    gendered = dict(_pairs_of_number(_gender_words()))
    return Aliases({**_countries(), **gendered, **_read(document, "people.yaml")})


def _countries() -> dict[str, str]:
    """Every form of every country, but for those that two countries have."""
    names = {_key(country.name) for country in COUNTRIES}
    people: dict[str, str] = {}
    shared: set[str] = set()
    for country in COUNTRIES:
        forms = (country.name, country.adjective, country.person, country.people, *country.others)
        for form in {_key(form) for form in forms}:
            if people.setdefault(form, _key(country.name)) != _key(country.name):
                shared.add(form)
    return {form: form if form in names else people[form] for form in people.keys() - shared}


def _gender_words() -> set[str]:
    axes = json.loads(_WORD_LISTS.read_text("utf-8"))["axes"]
    members = (member for group in axes["gender"].values() for member in group)
    spellings = (s for member in members for s in ([member] if isinstance(member, str) else member))
    return {_key(spelling.split(" [")[0]) for spelling in spellings}


def _pairs_of_number(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """A singular and its plural, where both are among the words, each with the singular."""
    known = set(words)
    for word in sorted(known):
        plural = plural_of(word)
        if plural in known and plural != word:
            yield from ((word, word), (plural, word))


@lru_cache(maxsize=4096)
def plural_of(word: str) -> str:
    """The usual plural of a noun, of a phrase that of its last word: "policemen", "nannies".

    A word that is one already, as "people" and "policemen", stays; "Roman" and its like take an s.
    """
    if word.endswith(("people", "men")):
        return word
    if word.endswith("man") and word[:1].islower():
        return f"{word[:-3]}men"
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search(r"(s|x|sh|ch)$", word) else f"{word}s"


def _read(document: object, name: str) -> dict[str, str]:
    """Names to peoples of a file; `name` is what errors call it."""
    try:
        lists = _Document.model_validate(document)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the whole"
        raise DataError(
            f"{name}, {where}: {fault['msg']}, got {fault['input']!r:.60}; an alias is a name that "
            "is not empty, correct it"
        ) from None
    entries = [(same, (same, *others)) for same, others in lists.same.items()]
    entries += [(word, (word, plural_of(word))) for word in lists.plural]
    people: dict[str, str] = {}
    for same, names in entries:
        for alias in {_key(alias) for alias in names}:
            if people.setdefault(alias, _key(same)) != _key(same):
                raise DataError(
                    f"{name}: a name must be of a single people, got '{alias}' for "
                    f"'{people[alias]}' and '{_key(same)}'; leave it out of one"
                )
    return people


def _key(term: str) -> str:
    """A term without case, article and doubled spaces; hyphens are spaces."""
    key = " ".join(term.replace("’", "'").replace("-", " ").casefold().split())
    return key.removeprefix(ARTICLE)
