"""SEAT's tests: two lists of texts about targets, two lists of texts about attributes.

May, Wang, Bordia, Bowman & Rudinger 2019, https://aclanthology.org/N19-1063; the four religion
tests are of Meade, Poole-Dayan & Reddy 2022, https://aclanthology.org/2022.acl-long.132. A test is
a file of `seat/`; whatever its name, an official test is known by its content.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

from annotated_types import Len

from equipoise.data.sources import REMEDY, Source, data_folders, read_json
from equipoise.data.validation import Record, Text, read_record
from equipoise.errors import DataError, nearest

LICENCE: Final = "CC BY-NC 4.0; the sent-religion files state none"
_OFFICIAL = (
    "https://raw.githubusercontent.com/McGill-NLP/bias-bench/"
    "aba440322fb38600f7790e457a17941f0b12bf20/data/seat"
)

#: The tests that Meade et al. 2022 average over, by type of bias.
PUBLISHED: Final[Mapping[str, tuple[str, ...]]] = {
    "gender": tuple(f"sent-weat{name}" for name in ("6", "6b", "7", "7b", "8", "8b")),
    "race": (
        "sent-angry_black_woman_stereotype",
        "sent-angry_black_woman_stereotype_b",
        *(f"sent-weat{name}" for name in ("3", "3b", "4", "5", "5b")),
    ),
    "religion": tuple(f"sent-religion{name}" for name in ("1", "1b", "2", "2b")),
}
#: Choices that name no test: the groups above, all files that hold sentences, all that hold words.
GROUPS: Final = (*PUBLISHED, "all", "words")

#: What of an official test's texts is no English, counted over its four lists.
_UNGRAMMATICAL: Final = {
    "sent-religion1": "verbs and adjectives as nouns ('a glad') in 154, counted religions "
    "('a christianity') in 28 of 381 texts",
    "sent-religion1b": "verbs and adjectives as nouns ('a glad', 'a jewish') in 168, counted "
    "religions ('a christianity') in 28 of 381 texts",
    "sent-religion2": "counted religions ('a christianity') in 28 of 632 texts",
    "sent-religion2b": "counted religions ('a christianity') in 28, an adjective as a noun "
    "('a jewish') in 14 of 632 texts",
    "sent-weat6": "a mass noun counted ('a management') in 12 of 341 texts",
    "sent-weat6b": "a mass noun counted ('a management') in 12, possessives as nouns ('There is "
    "his.') in 8 of 373 texts",
    "sent-weat7": "possessives as nouns ('There is his.') in 8 of 304 texts",
    "sent-weat8": "possessives as nouns ('There is his.') in 8 of 272 texts",
    "sent-weat9": "an adverb as an adjective ('This is always.') in 4 of 80 texts",
}

_BEFORE: Final = re.compile(
    r"(?:(?:this|that|there|here|it|he|she) is|(?:these|those|they) are"
    r"|the person's name is) (?:an? |the )?(?P<core>.+)\.",
    re.IGNORECASE,
)
_AFTER: Final = re.compile(
    r"(?:an? |the )?(?P<core>.+) (?:is|are) (?:here|there|an? thing|things|a person|people)\.",
    re.IGNORECASE,
)
_TURNED: Final = re.compile(r"(?:here|there) (?P<core>he|she) is\.", re.IGNORECASE)
_POINTERS: Final = ("this", "that", "these", "those", "it", "they", "there", "here")
#: First match wins: a white woman's name is about race.
_AXES: Final = (
    ("religion", re.compile("Christian|Islam|Jewish")),
    ("race", re.compile("European|African|White|Black")),
    ("gender", re.compile("Male|Female")),
    ("age", re.compile("YoungPeople|OldPeople")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatTest:
    """A test: texts of two targets, and of the two attributes they may be associated with."""

    name: str  # of the official file, or of the user's
    axis: str  # gender, race, religion, age or other, by the names of its lists
    first: tuple[str, ...]  # texts of the target that the stereotype associates with `attributes_a`
    second: tuple[str, ...]  # of the other target
    attributes_a: tuple[str, ...]
    attributes_b: tuple[str, ...]
    words: Mapping[
        str, str
    ]  # text of a target to its word: the texts of a word are not independent
    source: Source
    official: bool  # the content is that of a known official file

    @property
    def holds_sentences(self) -> bool:
        """Whether its targets are sentences, not words."""
        return all(text.endswith(".") for text in (*self.first, *self.second))

    @property
    def ungrammatical(self) -> str:
        """What of its texts is no English; "" where nothing is known."""
        return _UNGRAMMATICAL.get(self.name, "") if self.official else ""


class _List(Record):
    category: Text
    examples: Annotated[list[Text], Len(1)]


class _File(Record):
    targ1: _List
    targ2: _List
    attr1: _List
    attr2: _List


def read_tests(chosen: str | Sequence[str]) -> tuple[SeatTest, ...]:
    """The tests of a group (`GROUPS`) or of these names, each once, in the order of their names.

    Raises `DataError` for a name of which there is no file, and for a file that is no test.
    """
    sources = _sources()
    names = set(_names(chosen, sources))
    unknown = sorted(names - set(sources))
    if unknown:
        raise DataError(
            f"seat/ must hold a test '{unknown[0]}', got {len(sources)} others; "
            f"{nearest(unknown[0], (*GROUPS, *sources))}"
        )
    if chosen not in ("all", "words"):
        return tuple(_read(name, sources[name]) for name in sorted(names))
    tests = (_read(name, sources[name]) for name in sorted(names))
    return tuple(test for test in tests if test.holds_sentences == (chosen == "all"))


def word_of(text: str) -> str:
    """The word that a template was filled with, in lower case; the text itself without one."""
    for form in (_TURNED, _AFTER, _BEFORE):
        match = form.fullmatch(text)
        if match and match["core"].casefold() not in _POINTERS:
            return match["core"].casefold()
    return text.casefold()


def words_of(texts: Iterable[str]) -> dict[str, str]:
    """Each text's word, singular where the texts have it, so that "mosques" is "mosque".

    Longer texts without a template ("John is an engineer.") have their first word, where no two
    of them share it.
    """
    cores = {text: word_of(text) for text in texts}
    known = set(cores.values())
    singular = {form: core for core in sorted(known) for form in _plurals(core) if form in known}
    words = {text: singular.get(core, core) for text, core in cores.items()}
    whole = [text for text, word in words.items() if word == text.casefold() and " is " in text]
    firsts = Counter(text.split()[0].casefold() for text in whole)
    return words | {
        text: first for text in whole if firsts[first := text.split()[0].casefold()] == 1
    }


def _plurals(core: str) -> tuple[str, ...]:
    if core == "her":
        return ()  # "hers" is a word of its own
    ending = core[:-1] + "ies" if core.endswith("y") else core + "es"
    irregular = re.sub(r"man\b", "men", core)
    knives = re.sub(r"fe?$", "ves", core)
    return tuple({core + "s", ending, irregular, knives} - {core})


def _names(chosen: str | Sequence[str], sources: Iterable[str]) -> Sequence[str]:
    if not isinstance(chosen, str):
        return chosen
    if chosen in ("all", "words"):
        return tuple(sources)
    return PUBLISHED.get(chosen, (chosen,))


def _read(name: str, source: Source) -> SeatTest:
    record = read_record(_File, read_json(source), source.path)
    lists = (record.targ1, record.targ2, record.attr1, record.attr2)
    _refuse_shared(lists, source.path)
    first, second, attributes_a, attributes_b = (tuple(each.examples) for each in lists)
    words = words_of((*first, *second))
    both = {words[text] for text in first} & {words[text] for text in second}
    if both:
        raise DataError(
            f"{source.path}: a word must be in one target list, got {len(both)} that are in both; "
            f"{REMEDY}"
        )
    categories = " ".join(each.category for each in lists)
    return SeatTest(
        name=name,
        axis=next((axis for axis, form in _AXES if form.search(categories)), "other"),
        first=first,
        second=second,
        attributes_a=attributes_a,
        attributes_b=attributes_b,
        words=words,
        source=source,
        official=source.is_official(source.read()),
    )


def _refuse_shared(lists: Sequence[_List], where: str) -> None:
    """Refuse a text that is there twice: it would count twice, or as its own attribute.

    Published code keeps texts as the keys of a dictionary, which drops it in silence.
    """
    counts = Counter(text for each in lists for text in each.examples)
    repeated = [text for text, count in counts.items() if count > 1]
    if repeated:
        raise DataError(
            f"{where}: a text must be there once in all four lists, got {len(repeated)} texts "
            f"more than once; {REMEDY}"
        )


def _sources() -> dict[str, Source]:
    """Name to file: official tests by content, others of the data folder by their name.

    Official tests that no data folder has are downloaded when they are read.
    """
    pins = _pins()
    names = {sha256: name for name, sha256 in pins.items()}
    local: dict[str, Source] = {}
    for file in (file for folder in data_folders() for file in _files(folder)):
        source = Source(path=f"seat/{file.name}", hashes=tuple(names), licence=LICENCE)
        use = source.use()
        local.setdefault(names.get(use.sha256, file.stem), source)
    fetched = {
        name: Source(
            path=f"seat/{name}.jsonl",
            url=f"{_OFFICIAL}/{name}.jsonl",
            hashes=(sha256,),
            licence=LICENCE,
        )
        for name, sha256 in pins.items()
    }
    return fetched | local


def _files(folder: Path) -> list[Path]:
    return sorted((folder / "seat").glob("*.jsonl"))


@lru_cache(maxsize=1)
def _pins() -> dict[str, str]:
    """Name of an official test to the sha256 of its file."""
    pins: dict[str, str] = json.loads(
        files("equipoise.data").joinpath("seat.json").read_text("utf-8")
    )
    return pins
