"""FairMT-Bench: conversations in which a user leads a model towards a slight of a social group.

Fan, Chen, Hu & Liu 2024, https://arxiv.org/abs/2410.19317. Five turns of a user, six tasks. The
files of the large edition stand in folders by part, task and attribute; those of the small edition,
which are a choice of its dialogues, by task alone.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Final, Literal, TypeAlias

from equipoise.data.sources import REMEDY, Source, read_json
from equipoise.errors import DataError
from equipoise.records import JSON
from equipoise.rows import text_sha256

LICENCE: Final = "none stated"
TURNS: Final = 5

Edition: TypeAlias = Literal["10K", "1K"]
Part: TypeAlias = Literal["stereotype", "toxicity"]
Task: TypeAlias = Literal[
    "Anaphora_Ellipsis",
    "Fixed_Format",
    "Interference_Misinformation",
    "Jailbreak_Tips",
    "Negative_Feedback",
    "Scattered_Questions",
]
#: As the files' names have them; "disable" is disability.
Attribute: TypeAlias = Literal["age", "appearance", "disable", "gender", "race", "religion"]

#: Keys of a dialogue's turns in the large and in the small edition.
_KEYS: Final = (
    tuple(f"{turn}-turn Conv" for turn in range(TURNS)),
    tuple(str(turn) for turn in range(TURNS)),
)
#: Dialogues that begin so are of this task, in whatever file they stand.
_MISINFORMED: Final = "please remember"
_MISINFORMATION: Final = "Interference_Misinformation"
#: A turn that more than this part of a task's dialogues have is the form of the task.
_COMMON: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTurns:
    """What the user says in a dialogue.

    Groups: part and attribute (of the large edition), task, and `cluster`, dialogues of a task that
    share a turn.
    """

    id: str  # file and place in it: "stereotype/Fixed_Format/gender/12", from 1
    turns: tuple[str, ...]  # ends stripped
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogues:
    """The dialogues of an edition, and what was done with the others."""

    dialogues: tuple[UserTurns, ...]
    empty: tuple[str, ...]  # files that are an empty list
    moved: int  # dialogues that stand in another task's file
    repeated: int  # copies, each left out but for the first


def sources(edition: Edition) -> tuple[Source, ...]:
    """The files of an edition, sorted by path."""
    folder = f"FairMT_{edition}/"
    return tuple(
        Source(path=f"fairmt_bench/{path}", hashes=(blob,), licence=LICENCE)
        for path, blob in _blobs().items()
        if path.startswith(folder)
    )


def read_dialogues(files: Sequence[Source]) -> Dialogues:
    """The different dialogues of these files, by file and place.

    Two are the same when their turns differ in white space alone; of copies the first is kept, one
    in its own task's file before one that is moved there. Raises `DataError` naming file and row:
    a missing or blank turn, another form, or no dialogue in any file.
    """
    read = [row for file in files for row in _read_file(file)]
    own_place = [(row, _misplaced(row)) for row in read]
    kept: dict[tuple[str, ...], UserTurns] = {}
    for row, misplaced in sorted(own_place, key=lambda pair: pair[1]):  # stable
        task = {"task": _MISINFORMATION} if misplaced else {}
        turns = tuple(" ".join(turn.split()) for turn in row.turns)
        kept.setdefault(turns, replace(row, groups={**row.groups, **task}))
    if not kept:
        raise DataError(
            f"{files[0].path if files else 'fairmt'} and the other files must hold dialogues, got "
            f"0 in {len(files)} files; {REMEDY}"
        )
    places = {row.id: place for place, row in enumerate(read)}
    dialogues = sorted(kept.values(), key=lambda row: places[row.id])
    filled = {row.id.rpartition("/")[0] for row in read}
    return Dialogues(
        dialogues=tuple(_with_clusters(dialogues)),
        empty=tuple(file.path for file in files if _name(file) not in filled),
        moved=sum(misplaced for _, misplaced in own_place),
        repeated=len(read) - len(kept),
    )


@cache
def _blobs() -> Mapping[str, str]:
    """Path inside the repository to the id that git gives to the official file."""
    file = resources.files("equipoise.data").joinpath("fairmt.json")
    blobs: dict[str, str] = json.loads(file.read_text("utf-8"))
    return blobs


def _name(file: Source) -> str:
    """As in "stereotype/Fixed_Format/gender"; of the small edition the task alone."""
    _, _, *folders, name = PurePosixPath(file.path).with_suffix("").parts
    if not folders:
        return name
    part, task = folders
    return f"{part.lower()}/{task}/{name.removeprefix('prompt_')}"


def groups_of(file: Source) -> dict[str, str]:
    """Part, task and attribute that a file's place says; of the small edition the task."""
    parts = _name(file).split("/")
    return dict(zip(("task",) if len(parts) == 1 else ("part", "task", "attribute"), parts))  # noqa: B905


def _read_file(file: Source) -> Iterator[UserTurns]:
    rows = read_json(file)
    if not isinstance(rows, list):
        raise DataError(
            f"{file.path} must be a list of dialogues, got a {type(rows).__name__}; {REMEDY}"
        )
    for number, row in enumerate(rows, 1):
        yield UserTurns(
            id=f"{_name(file)}/{number}",
            turns=_read_turns(row, f"{file.path}, dialogue {number}"),
            groups=groups_of(file),
        )


def _read_turns(row: JSON, where: str) -> tuple[str, ...]:
    named = list(row) if isinstance(row, dict) else []
    keys = next((known for known in _KEYS if set(known) & set(named)), _KEYS[0])
    if not isinstance(row, dict) or set(named) != set(keys):
        missing = [key for key in keys if key not in named]
        got = f"none of '{missing[0]}'" if missing else f"{len(named)} keys"
        raise DataError(
            f"{where}: must have the turns '{keys[0]}' to '{keys[-1]}' and nothing else, got "
            f"{got}; {REMEDY}"
        )
    turns = []
    for key in keys:
        text = row[key]
        if not isinstance(text, str) or not text.strip():
            got = "a blank text" if isinstance(text, str) else f"a {type(text).__name__}"
            raise DataError(f"{where}: turn '{key}' must have words, got {got}; {REMEDY}")
        turns.append(text.strip())
    return tuple(turns)


def _misplaced(row: UserTurns) -> bool:
    begins = row.turns[0].casefold().startswith(_MISINFORMED)
    return begins and row.groups["task"] != _MISINFORMATION


def _with_clusters(dialogues: Sequence[UserTurns]) -> Iterator[UserTurns]:
    """With the turn that most of the others in a task have, unless it is the form of the task.

    A dialogue that shares none is a cluster of its own.
    """
    tasks = Counter(row.groups["task"] for row in dialogues)
    shared = Counter(
        (row.groups["task"], turn) for row in dialogues for turn in dict.fromkeys(row.turns)
    )
    for row in dialogues:
        task = row.groups["task"]
        most = max(1.0, _COMMON * tasks[task])
        counts = [shared[task, turn] if shared[task, turn] <= most else 0 for turn in row.turns]
        turn = row.turns[counts.index(max(counts))] if max(counts) > 1 else row.id
        yield replace(row, groups={**row.groups, "cluster": f"{task}/{text_sha256(turn)[:12]}"})
