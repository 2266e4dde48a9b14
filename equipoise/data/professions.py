"""The profession lists and their scores, from Bolukbasi et al. 2016 (arXiv 1607.06520).

The file holds 320 entries: a word, how far it is male by definition (`factual`) and how far people
stereotype it as male (`score`), both in [-1, 1] with negative for female. LFTF keeps 262 of them
by hand, those that are not gendered by meaning ("actress") or composition ("salesman"), and does
not publish which. Three lists are made here, each pinned by its hash:

- `prof262`: single words with |factual| <= 0.5, without "foreman". It has the paper's size and all
  its named examples; beyond that its membership is a guess, and it keeps words that are no
  occupation.
- `by_meaning`: LFTF's rule applied by us, whatever the scores: 281 entries, two-word entries and
  words that are no occupation among them. It drops 39, the paper 58, and which is not known.
- `prof_clean`: an audit of ours: occupations only, none that is gendered by its form or its rules,
  two-word names included. Recommended for new work.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from annotated_types import Len
from pydantic import ConfigDict, Field, RootModel

from equipoise.data.situations import Term
from equipoise.data.sources import Source, read_json
from equipoise.data.validation import Text, read_record, refuse_repeated
from equipoise.errors import DataError

ProfessionList: TypeAlias = Literal["prof262", "prof_clean", "by_meaning"]

PROFESSIONS: Final = Source(
    path="professions/professions.json",
    url="https://raw.githubusercontent.com/tolga-b/debiaswe/6bb03ee/data/professions.json",
    hashes=("32cc82c7761e7cfb14e37e06dc1aa9f758bc8441f79ca7288996d3fc7c24639a",),
    licence="MIT",
)

#: sha256 of each list's rows, scores included: a list is what its name says, or it is refused.
_SHA256: Final[Mapping[ProfessionList, str]] = {
    "prof262": "d89a42e3002fcd7fc13fc67b6604e70a28ddb200aaecd99ca3cdce78c09c0af7",
    "by_meaning": "545fda6595a3fc111998d9ad9a63840d89c894ee2555c12c62f3eb0741791ca3",
    "prof_clean": "a972b77f575b8c9b1294433ee253a8d1676babe39e4c0d9a7cb087f89ea29793",
}

#: More than this and a word is male or female by definition ("actress", "salesman").
_MOST_FACTUAL: Final = 0.5

#: What LFTF's rule drops, by reason; the paper has 262 left, so that it is stricter by 19.
_GENDERED: Final = {
    "composition: a part of the word names a sex": """
        alderman businessman businesswoman cameraman congressman councilman fireman fisherman
        foreman handyman headmaster hitman housewife landlord marksman patrolman policeman
        professor_emeritus salesman serviceman sportsman statesman""",
    "meaning: the word is of one sex, has another word for the other, or is a role of one": """
        actor actress archbishop ballerina baron bishop butler dad maestro maid monk nanny nun
        priest steward waiter waitress""",
}

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


_Score: TypeAlias = Annotated[float, Field(ge=-1, le=1)]
# Strict pydantic takes no list for a tuple, and JSON has lists alone.
_Entry: TypeAlias = Annotated[tuple[Text, _Score, _Score], Field(strict=False)]


class _Entries(RootModel[Annotated[list[_Entry], Len(1)]]):
    """The whole file: word, factual score and stereotype score."""

    model_config = ConfigDict(strict=True)


def professions(name: ProfessionList) -> tuple[Term, ...]:
    """A list in the order of its file.

    Raises `DataError` when the file is unreadable, an entry is not a word and two scores, a word
    comes twice, or the file yields another list than the name stands for.
    """
    rows = read_record(_Entries, read_json(PROFESSIONS), PROFESSIONS.path).root
    refuse_repeated((word for word, _, _ in rows), f"{PROFESSIONS.path}: word")
    if name == "prof262":
        # Without compounds 263 words have a factual score of at most 0.5; the paper has 262.
        dropped = {word for word, _, _ in rows if "_" in word} | {"foreman"}
    else:
        reasons = _NOT_CLEAN if name == "prof_clean" else _GENDERED
        dropped = {word for words in reasons.values() for word in words.split()}
    most = 1.0 if name == "by_meaning" else _MOST_FACTUAL
    chosen = [
        (word.replace("_", " "), factual, score)
        for word, factual, score in rows
        if abs(factual) <= most and word not in dropped
    ]
    text = "\n".join(f"{word}\t{factual:g}\t{score:g}" for word, factual, score in chosen)
    got = hashlib.sha256(text.encode()).hexdigest()
    if got != _SHA256[name]:
        raise DataError(
            f"{PROFESSIONS.path} must yield the list {name} with sha256 {_SHA256[name][:12]}, "
            f"got {len(chosen)} words with {got[:12]}; put the official file there"
        )
    return tuple(Term(word=word, score=score) for word, _, score in chosen)
