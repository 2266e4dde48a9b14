"""The profession lists and their scores, from Bolukbasi et al. 2016 (arXiv 1607.06520).

The file holds 320 entries: a word, how far it is male by definition (`factual`) and how far people
stereotype it as male (`score`), both in [-1, 1] with negative for female. LFTF keeps 262 of them
by hand and does not publish which. Two lists are made here, each pinned by its hash:

- `prof262`: single words with |factual| <= 0.5, without "foreman". It has the paper's size and all
  its named examples; beyond that its membership is a guess, and it keeps words that are no
  occupation.
- `prof_clean`: an audit of ours: occupations only, none that is gendered by its form or its rules,
  two-word ones included. Recommended for new work.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from equipoise.data.sources import Source, read_json
from equipoise.errors import DataError
from equipoise.records import JSON

ProfessionList: TypeAlias = Literal["prof262", "prof_clean"]

PROFESSIONS: Final = Source(
    path="professions/professions.json",
    url="https://raw.githubusercontent.com/tolga-b/debiaswe/6bb03ee/data/professions.json",
    revision="6bb03ee",
    sha256=("32cc82c7761e7cfb14e37e06dc1aa9f758bc8441f79ca7288996d3fc7c24639a",),
    licence="MIT",
)

#: sha256 of each list (`list_sha256`): a list is what its name says, or it is refused.
LIST_SHA256: Final[Mapping[ProfessionList, str]] = {
    "prof262": "d89a42e3002fcd7fc13fc67b6604e70a28ddb200aaecd99ca3cdce78c09c0af7",
    "prof_clean": "a972b77f575b8c9b1294433ee253a8d1676babe39e4c0d9a7cb087f89ea29793",
}

#: More than this and a word is male or female by definition ("actress", "salesman").
_MOST_FACTUAL: Final = 0.5

#: What the audit drops, by reason.
_NOT_CLEAN: Final = {
    "kin, a trait, a role in life or in a story: no occupation": """
        acquaintance adventurer alter_ego boss campaigner character citizen collector confesses
        critic crusader doctoral_student drug_addict employee environmentalist firebrand homemaker
        narrator observer parishioner philanthropist prisoner protagonist protege protester saint
        socialite soft_spoken student substitute teenager tycoon understudy valedictorian warrior
        worker""",
    "a crime, or an insult": "assassin gangster hooker mobster",
    "gendered by its form, or open to one gender by its rules": """
        archbishop artiste ballerina butler foreman headmaster landlord maestro maid monk nun
        professor_emeritus steward""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profession:
    """A word for an occupation, as people see it."""

    word: str  # as it stands in a sentence: "registered nurse"
    factual: float  # [-1, 1]: female to male by definition
    score: float  # [-1, 1]: stereotyped as female to stereotyped as male


def professions(name: ProfessionList) -> tuple[Profession, ...]:
    """A list in the order of its file.

    Raises `DataError` when the file is unreadable, an entry is not a word and two scores, a word
    comes twice, or the file yields another list than the one the name stands for.
    """
    everything = _entries(read_json(PROFESSIONS))
    keep = _in_prof262 if name == "prof262" else _in_prof_clean
    chosen = tuple(_as_written(entry) for entry in everything if keep(entry))
    got = list_sha256(chosen)
    if got != LIST_SHA256[name]:
        raise DataError(
            f"{PROFESSIONS.path} must yield the list {name} with sha256 {LIST_SHA256[name][:12]}, "
            f"got {len(chosen)} words with {got[:12]}; put the official file there"
        )
    return chosen


def list_sha256(chosen: tuple[Profession, ...]) -> str:
    """Identity of a list, scores included: sha256 (hex) of its rows."""
    rows = "\n".join(f"{row.word}\t{row.factual:g}\t{row.score:g}" for row in chosen)
    return hashlib.sha256(rows.encode()).hexdigest()


def _in_prof262(entry: Profession) -> bool:
    single = "_" not in entry.word and entry.word != "foreman"
    return single and abs(entry.factual) <= _MOST_FACTUAL


def _in_prof_clean(entry: Profession) -> bool:
    dropped = {word for words in _NOT_CLEAN.values() for word in words.split()}
    return abs(entry.factual) <= _MOST_FACTUAL and entry.word not in dropped


def _as_written(entry: Profession) -> Profession:
    return replace(entry, word=entry.word.replace("_", " "))


def _entries(document: JSON) -> list[Profession]:
    name = PROFESSIONS.path
    if not isinstance(document, list) or not document:
        got = type(document).__name__ if document else "nothing in it"
        raise DataError(f"{name} must be a list of entries, got {got}; replace the file")
    entries: dict[str, Profession] = {}
    for index, row in enumerate(document):
        entry = _entry(row, index)
        if entry.word in entries:
            raise DataError(
                f"{name}: '{entry.word}' must come once, got it twice; drop entry {index}"
            )
        entries[entry.word] = entry
    return list(entries.values())


def _entry(row: JSON, index: int) -> Profession:
    match row:
        case [str() as word, int() | float() as factual, int() | float() as score] if word.strip():
            if -1 <= factual <= 1 and -1 <= score <= 1:
                return Profession(word=word, factual=float(factual), score=float(score))
    raise DataError(
        f"{PROFESSIONS.path}: entry {index} must be [word, factual score, stereotype score] with "
        f"scores in [-1, 1], got {row!r}; correct it or replace the file"
    )
