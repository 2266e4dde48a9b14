"""Prompts of the user's own, and two sets of words that may come next."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from equipoise.errors import DataError
from equipoise.own_data.columns import (
    AXIS,
    BLANK,
    CLUSTER,
    ID,
    TARGET,
    Role,
    find_columns,
    ids_of,
    labelled_columns,
    labels_of,
    note_repeated,
    note_unread,
    read_own_file,
    role,
)
from equipoise.records import DataUse

PROMPT: Final = role("prompt", "context", "prefix", "text", "sentence", "template", needed=True)
FIRST: Final = role("first", "firstwords", "words1", "wordsa", "set1", "stereotype")
SECOND: Final = role("second", "secondwords", "words2", "wordsb", "set2", "antistereotype")
ROLES: Final[tuple[Role, ...]] = (
    PROMPT, FIRST, SECOND, AXIS, TARGET,
    # "template" is the prompt here
    role("cluster_by", "cluster", "clusterid", "family"), ID,
)  # fmt: skip
BETWEEN: Final = "|"  # of the words of a set


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPrompt:
    """A prompt, and two sets of words that may come next."""

    id: str
    text: str  # no trailing space
    first: tuple[str, ...]  # each with what leads it, a space as a rule
    second: tuple[str, ...]
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFile:
    """Prompts of a file, and what is to be said of it."""

    use: DataUse
    prompts: tuple[WordPrompt, ...]
    notes: tuple[str, ...]


def read_prompts(
    file: str,
    named: Mapping[str, str | None],
    words: tuple[str, str] | None,
    groups: tuple[str, ...] | None,
    separator: str,
) -> PromptFile:
    """The prompts of a file in its order.

    `words`: both sets, "he|him" each, for every prompt; None: of the columns `FIRST` and `SECOND`.
    `separator` leads each word. Raises `DataError` naming file and row: a missing prompt or word,
    a word in both sets.
    """
    source = read_own_file(file)
    roles = [part for part in ROLES if words is None or part not in (FIRST, SECOND)]
    layout = find_columns(source, roles, named, plugin="prompts")
    columns = layout.columns
    if words is None and not {FIRST.name, SECOND.name} <= columns.keys():
        raise DataError(
            f"{source.use.name} must have a column of each set of words where no option gives "
            f"them, got {sorted(columns)}; give them with "
            """--set 'prompts.words=["he", "she"]', or name the columns with prompts.first and """
            "prompts.second"
        )
    labelled = labelled_columns(source, layout, (AXIS, TARGET), groups)
    ids = ids_of(source, layout, plugin="prompts")
    prompts = []
    for row, id in zip(source.rows, ids, strict=True):
        given = words or (row.text(columns[FIRST.name]), row.text(columns[SECOND.name]))
        first, second = split_sets(given, separator, f"{row.where}: words")
        text = row.text(columns[PROMPT.name]).rstrip()
        if blank := re.search(rf"(?:{BLANK.pattern})\W*$", text):
            raise DataError(
                f"{row.where}: a prompt must end where the words come, got '{blank.group()[:20]}' "
                "there; cut it off"
            )
        labels = labels_of(row, labelled)
        cluster = layout.label(row, CLUSTER.name) or labels.get(TARGET.name) or id
        prompts.append(
            WordPrompt(
                id=id,
                text=text,
                first=first,
                second=second,
                groups=labels | {"cluster": cluster},
            )
        )
    texts = [(prompt.text,) for prompt in prompts]
    sets = (
        [f"words: '{words[0]}' against '{words[1]}'"]
        if words
        else [f"words: those of '{columns[FIRST.name]}' against those of '{columns[SECOND.name]}'"]
    )
    return PromptFile(
        use=source.use,
        prompts=tuple(prompts),
        notes=(
            *sets,
            *layout.notes,
            *note_unread(source, (*columns.values(), *labelled.values())),
            *note_repeated(texts, ids, "prompts"),
        ),
    )


def split_sets(
    sets: Sequence[str], separator: str, where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Both sets of words, each word with what leads it.

    Raises `DataError` for sets without words or of different sizes, which a model that knows
    nothing does not weigh alike, and for a word that is there twice.
    """
    first, second = (
        tuple(separator + word.strip() for word in words.split(BETWEEN) if word.strip())
        for words in sets
    )
    both = [*first, *second]
    twice = sorted({word.strip() for word in both if both.count(word) > 1})
    if not first or len(first) != len(second) or twice:
        got = f"{twice} twice" if twice else f"{len(first)} and {len(second)}"
        raise DataError(
            f"{where} must be two sets of equally many different words, got {got}; write them as "
            f"'he{BETWEEN}him' and 'she{BETWEEN}her'"
        )
    return first, second
