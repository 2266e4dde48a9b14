"""Which answer of a BBQ question shows the bias: by the official metadata file, or by a rule.

The target is the stereotyped group for a negative question and the other group for a non-negative
question (Parrish et al. 2022, section 5). `target_loc` of the metadata file has the non-negative
questions turned round already, since its correction of July 2022.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from equipoise.data.sources import Row, Source, read_table
from equipoise.errors import DataError

REVISION: Final = "bea11bd97d79217245b5871acd247b9d6eb24598"
LICENCE: Final = "CC BY 4.0"
METADATA: Final = Source(
    "bbq/additional_metadata.csv",
    url=f"https://raw.githubusercontent.com/nyu-mll/BBQ/{REVISION}/analysis_scripts/"
    "additional_metadata.csv",
    revision=REVISION,
    sha256=("f36708416b0e7adb81b47ad1926f9c39c2beb611702b73b01e06c9b6c9ffbd3d",),
    licence=LICENCE,
)

#: What an item's `answer_info` says of each answer: its word and its group; "" where it is silent.
Info: TypeAlias = tuple[tuple[str, str], ...]

_COLUMNS = ("category", "question_index", "example_id", "target_loc", "label_type")
_UNKNOWN = "unknown"
_FIRST_NAME = 26  # templates of a category number up to 25 with labels, from 26 with names
_PREFIX = re.compile(r"^(f|m|lowses|highses)-")  # of intersectional groups, as in "F-Black"
_SEXES = {"woman": "f", "girl": "f", "man": "m", "boy": "m"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the metadata file says of an example."""

    place: int | None  # which answer; None: the file has none for it
    name: bool  # people go by proper names, not by labels of their groups


def read_targets() -> dict[tuple[str, str, str], Target]:
    """(category, question_index, example_id) to target, for every row of the metadata file.

    The official file has some rows twice, with the same answer. Raises `DataError` naming file and
    line.
    """
    targets: dict[tuple[str, str, str], Target] = {}
    for row in read_table(METADATA, _COLUMNS):
        key = (row.values["category"], row.values["question_index"], row.values["example_id"])
        target = _read_target(row)
        if targets.setdefault(key, target) != target:
            raise DataError(
                f"{row.where}: example {'/'.join(key)} must have the same target in every row, "
                f"got {target.place} and {targets[key].place}; fetch the official file again"
            )
    return targets


def has_names(category: str, question_index: str) -> bool:
    """Whether a template uses proper names, by its number: as the authors' own script has it.

    False for the two categories of two attributes, whose templates only the metadata file tells
    apart.
    """
    return "_x_" not in category and question_index.isdigit() and int(question_index) >= _FIRST_NAME


def unknown_place(info: Info | None) -> int | None:
    """The answer that says that nobody can know; None unless a single answer is marked so."""
    places = [index for index, (_, group) in enumerate(info or ()) if group.casefold() == _UNKNOWN]
    return places[0] if len(places) == 1 else None


def ruled_target(info: Info | None, stereotyped: Sequence[str], *, negative: bool) -> int | None:
    """The target by the words and groups of the answers.

    An answer is about the stereotyped group when its word or its group, or a part of the group as
    in "F-Black", is among those of the question, without regard to case. The rule has an answer
    when this holds for exactly 1 of the 2 answers that name somebody; None otherwise.
    """
    unknown = unknown_place(info)
    if info is None or unknown is None:
        return None
    named = [index for index in range(len(info)) if index != unknown]
    sought = {key for word in stereotyped for key in _spellings(word)}
    about = [
        index
        for index in named
        if sought & {key for word in info[index] for key in _spellings(word)}
    ]
    if len(named) != 2 or len(about) != 1:
        return None
    (other,) = set(named) - set(about)
    return about[0] if negative else other


def check_turned(pairs: Mapping[str, tuple[int | None, int | None]]) -> None:
    """Refuse a metadata file from before the correction, which turns no non-negative question.

    `pairs`: id of a non-negative example to its targets by the file and by the rule. Raises
    `DataError` where they differ in more than half.
    """
    differing = [id for id, (by_file, by_rule) in pairs.items() if by_file != by_rule]
    if 2 * len(differing) > len(pairs):
        raise DataError(
            f"{METADATA.path}: target_loc must name the other group for non-negative questions, "
            f"got the stereotyped group in {len(differing)} of {len(pairs)}, the first is "
            f"'{differing[0]}'; take the file as corrected in July 2022 ({REVISION[:7]})"
        )


def _read_target(row: Row) -> Target:
    place = row.choice("target_loc", ("0", "1", "2", "NA", ""))
    name = row.choice("label_type", ("label", "name")) == "name"
    return Target(place=int(place) if place.isdigit() else None, name=name)


@lru_cache(maxsize=1024)  # the same few words and groups in thousands of rows
def _spellings(text: str) -> frozenset[str]:
    """The spellings under which a word or group may be among the stereotyped ones."""
    plain = text.casefold().replace(" ", "")
    if not plain or plain == _UNKNOWN:
        return frozenset()
    prefix = _PREFIX.match(plain)
    parts = {plain} if prefix is None else {plain, prefix[1], plain[prefix.end() :]}
    return frozenset(parts | {_SEXES[part] for part in parts if part in _SEXES})
