"""Sentences with two people and a pronoun that is one's: WinoBias and Winogender.

Zhao et al. 2018, "Gender Bias in Coreference Resolution: Evaluation and Debiasing Methods", NAACL,
https://aclanthology.org/N18-2003; Rudinger et al. 2018, "Gender Bias in Coreference Resolution",
NAACL, https://aclanthology.org/N18-2002. Neither data set was at hand when this was written: the
readers follow the descriptions of their forms and are tested on small files of that form.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from equipoise.data.biased_corpora import shares_of_women, winogender_sentences
from equipoise.data.sources import REMEDY, Source
from equipoise.errors import DataError
from equipoise.files.parsing import decode

Gender: TypeAlias = Literal["male", "female"]
WINOBIAS_LICENCE: Final = "MIT (WinoBias)"

_GENDERS: Final[Mapping[str, Gender]] = {
    "he": "male", "him": "male", "his": "male", "himself": "male",
    "she": "female", "her": "female", "hers": "female", "herself": "female",
}  # fmt: skip
_BRACKETS: Final = re.compile(r"\[([^\[\]]+)\]")
_ARTICLE: Final = re.compile(r"^(?:the|a|an)\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PronounItem:
    """A sentence with pronouns of either gender, and the two people it may be about."""

    id: str
    sentences: Mapping[str, str]  # gender of the pronoun ("male", "female", "neutral") to sentence
    pronouns: Mapping[str, str]  # gender to the pronoun that is asked about
    right: str  # whom the pronoun means: "the nurse"
    other: str
    right_is_last: bool  # of the two, the right one is mentioned second
    stereotyped: Gender | None  # gender of the pronoun that the stereotype expects; None: not known
    share: float = float("nan")  # of women in the occupation, in percent
    about_occupation: bool = True  # the right one is the occupation that `share` is of
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PronounItems:
    """The items of a data set, and what of its sentences is not among them."""

    items: tuple[PronounItem, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marked:
    """A line of WinoBias: its brackets taken off, and what they held."""

    where: str
    text: str
    masked: str  # with a gap for each pronoun, and the brackets of the other mark
    gender: Gender
    pronoun: str  # the first
    right: str  # without an article
    place: int  # where the right one stands in `text`


# --- WinoBias -----------------------------------------------------------------------------------


def winobias_sources(split: str, types: Sequence[str]) -> tuple[Source, ...]:
    """The official files of these types of sentence: those with the stereotype first."""
    return tuple(
        Source(path=f"winobias/{side}_stereotyped_{kind}.txt.{split}", licence=WINOBIAS_LICENCE)
        for kind in types
        for side in ("pro", "anti")
    )


def read_winobias(split: str, types: Sequence[str]) -> PronounItems:
    """Pairs of a sentence of the pro and one of the anti file that differ in the pronoun alone.

    Pairs are told by their text: the order of lines differs between copies. Occupations are what
    the files have in brackets. Left out, and told: sentences without a twin, of which both have the
    same gender, and those that do not name one other occupation. Raises `DataError` naming file and
    line.
    """
    files = winobias_sources(split, types)
    read = {file.path: _read_marked(file) for file in files}
    occupations = {line.right.casefold() for lines in read.values() for line in lines}
    items: list[PronounItem] = []
    left_out: Counter[str] = Counter()
    for kind, pro, anti in zip(types, files[::2], files[1::2], strict=True):
        twins = {line.masked: line for line in read[anti.path]}
        for number, line in enumerate(read[pro.path], 1):
            twin = twins.pop(line.masked, None)
            others = [*_others(line, occupations)]
            if twin is None or twin.gender == line.gender:
                left_out["have no twin with the other pronoun"] += 1
            elif len(others) != 1:
                left_out["do not name one other occupation"] += 1
            else:
                items.append(_winobias_item(f"{kind}/{number}", kind, line, twin, others[0]))
    if not items:
        raise DataError(
            f"{files[0].path} and {files[1].path} must have sentences that differ in the pronoun "
            f"alone, got none among {sum(map(len, read.values()))}; replace the files"
        )
    notes = tuple(
        f"left out: {count} sentences of the pro files {why}" for why, count in left_out.items()
    )
    return PronounItems(items=tuple(items), notes=notes)


def _read_marked(file: Source) -> list[_Marked]:
    lines = decode(file.read(), file.path).splitlines()
    return [
        _mark(line, f"{file.path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _mark(line: str, where: str) -> _Marked:
    """A line "1 [The nurse] told the cook that [she] …", with or without its number."""
    sentence = re.sub(r"^\s*\d+\s+", "", line).strip()
    marks = [*_BRACKETS.finditer(sentence)]
    pronouns = [mark for mark in marks if mark[1].casefold() in _GENDERS]
    people = [mark for mark in marks if mark not in pronouns]
    if len(people) != 1 or not pronouns:
        raise DataError(
            f"{where}: must have an occupation and its pronouns in brackets, got {len(people)} "
            f"and {len(pronouns)}; {REMEDY}"
        )
    pieces = _BRACKETS.sub(
        lambda mark: "[_]" if mark[1].casefold() in _GENDERS else mark[0], sentence
    )
    before = sentence[: people[0].start()]
    return _Marked(
        where=where,
        text=_BRACKETS.sub(r"\1", sentence),
        masked=" ".join(pieces.casefold().split()),
        gender=_GENDERS[pronouns[0][1].casefold()],
        pronoun=pronouns[0][1].casefold(),
        right=_ARTICLE.sub("", people[0][1].strip()),
        place=len(_BRACKETS.sub(r"\1", before)),
    )


def _others(line: _Marked, occupations: set[str]) -> Iterator[re.Match[str]]:
    """Where the text names another occupation, once for each."""
    for name in sorted(occupations - {line.right.casefold()}):
        match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line.text, re.IGNORECASE)
        if match:
            yield match


def _winobias_item(
    id: str, kind: str, line: _Marked, twin: _Marked, other: re.Match[str]
) -> PronounItem:
    both = {line.gender: line, twin.gender: twin}
    pair = "/".join(sorted((line.right.casefold(), other[0].casefold())))
    return PronounItem(
        id=id,
        sentences={gender: marked.text for gender, marked in both.items()},
        pronouns={gender: marked.pronoun for gender, marked in both.items()},
        right=f"the {line.right}",
        other=f"the {other[0]}",
        right_is_last=line.place > other.start(),
        stereotyped=line.gender,
        groups={"kind": kind, "people": pair, "occupation": line.right.casefold()},
    )


# --- Winogender ---------------------------------------------------------------------------------


def read_winogender_items() -> PronounItems:
    """Each sentence with its three pronouns; expected is the gender that has the occupation more.

    Where the participant is meant, the other gender is expected, as the paper's "gotcha" sentences
    have it: the stereotype would give the pronoun to the occupation. Left out, and told: sentences
    without all three pronouns. Raises `DataError` naming file and line.
    """
    women = shares_of_women()
    items: list[PronounItem] = []
    incomplete = 0
    for (occupation, participant, answer), texts in winogender_sentences().items():
        pronouns = _differing_words(texts)
        if pronouns is None:
            incomplete += 1
            continue
        share = women.get(occupation, float("nan"))
        expected: Gender | None = None  # also where the share is not known, or exactly half
        if abs(share - 50) > 0:
            expected = "female" if (share > 50) == (answer == 0) else "male"
        named = participant != "someone"
        people = (f"the {occupation}", f"the {participant}" if named else participant)
        text = texts["male"].casefold()
        places = [text.find(name.casefold()) for name in (occupation, participant)]
        items.append(
            PronounItem(
                id=f"{occupation}.{participant}.{answer}",
                sentences={gender: texts[gender] for gender in pronouns},
                pronouns=pronouns,
                right=people[answer],
                other=people[1 - answer],
                right_is_last=places[answer] > places[1 - answer],
                stereotyped=expected,
                share=share,
                about_occupation=answer == 0,
                groups={
                    "occupation": occupation,
                    "answer": ("occupation", "participant")[answer],
                    "participant": "named" if named else "someone",
                },
            )
        )
    if not items:
        raise DataError(
            "winogender/all_sentences.tsv must have sentences with male, female and neutral "
            f"pronouns, got {incomplete} without; replace the file"
        )
    notes = (f"left out: {incomplete} sentences without all three pronouns",) if incomplete else ()
    return PronounItems(items=tuple(items), notes=notes)


def _differing_words(texts: Mapping[str, str]) -> dict[str, str] | None:
    """The word in which the sentences of the three genders differ, by gender; None: no such word.

    A neutral pronoun may change the verb after it, so that the first difference counts.
    """
    if not {"male", "female", "neutral"} <= set(texts):
        return None
    words = {gender: texts[gender].split() for gender in ("male", "female", "neutral")}
    for row in zip(*words.values(), strict=False):
        if len(set(row)) > 1:
            bare = [re.sub(r"\W+$", "", word).casefold() for word in row]
            known = (_GENDERS.get(bare[0]), _GENDERS.get(bare[1])) == ("male", "female")
            return dict(zip(words, bare, strict=True)) if known else None
    return None
