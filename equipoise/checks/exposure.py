"""What a method learnt from: hashes of its texts, its terms, templates and item information.

Kept beside an edit, so that what is measured can be compared with it without the texts themselves.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from equipoise.errors import StoreError
from equipoise.files.atomic import write_file
from equipoise.files.json_records import read_object
from equipoise.records import Contrast, Prompt, Supply, text_sha256

SCHEMA = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What a method may have learnt from."""

    origin: str  # of the supply, e.g. "genbias(split_by=profession):train"
    texts: frozenset[str]  # sha256 of each text (`records.text_sha256`)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # key to groups, sorted
    item_info: tuple[str, ...] = ()  # `Mitigation.item_info`


_LEARNT = TypeAdapter(Learnt)


def learnt_from(
    supply: Supply, *, item_info: tuple[str, ...] = (), trained_on: frozenset[str] | None = None
) -> Learnt:
    """What a method that was given this supply may have learnt.

    `trained_on`: the texts that its edit says it learnt from (`EditInfo.trained_on`); groups are
    then those of examples with one of them, and a method that learns nothing has none. None: all
    that was supplied.
    """
    texts = supply.learnt_hashes() if trained_on is None else trained_on
    return Learnt(
        origin=supply.origin, texts=texts, groups=_groups(_used(supply, texts)), item_info=item_info
    )


def write_learnt(file: Path | str, learnt: Learnt) -> None:
    """Write it as JSON, whole or not at all; a file of that name is replaced.

    Raises `StoreError` when the file cannot be written.
    """
    file = Path(file)
    document = {
        "schema": SCHEMA,
        "origin": learnt.origin,
        "item_info": list(learnt.item_info),
        "groups": {key: list(names) for key, names in sorted(learnt.groups.items())},
        "texts": sorted(learnt.texts),
    }
    write_file(file, json.dumps(document, indent=1) + "\n", what="record of what was learnt")


def read_learnt(file: Path | str) -> Learnt:
    """Read what `write_learnt` wrote.

    Raises `StoreError` naming the file when it is missing, cut, of another schema, or when an
    entry is not what it must be: half of what was learnt would pass for all of it.
    """
    file = Path(file)
    document = read_object(file)
    if document.get("schema") != SCHEMA:
        raise StoreError(
            f"{file} must have schema {SCHEMA}, got {document.get('schema')!r}; "
            "it was written by another version of equipoise, read it with that one"
        )
    named = {key: value for key, value in document.items() if key != "schema"}
    missing = [key for key in ("origin", "item_info", "groups", "texts") if key not in named]
    if missing:
        raise StoreError(f"{file} must have '{missing[0]}', it has none; fit the edit again")
    try:
        learnt = _LEARNT.validate_python(named)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"{file}: '{place}' must be right ({first['msg']}), got {first.get('input')!r}; "
            "copy it again or fit the edit again"
        ) from error
    for text in learnt.texts:
        if not _SHA256.fullmatch(text):
            raise StoreError(
                f"{file}: every text must be a sha256 of 64 hex digits, got {text[:70]!r}; "
                "copy it again or fit the edit again"
            )
    return learnt


def _used(supply: Supply, texts: frozenset[str]) -> Iterator[Prompt | Contrast]:
    """The examples of a supply of which some text is among those learnt."""
    for prompt in (*supply.prompts, *supply.hinted, *supply.dev):
        if text_sha256(prompt.text) in texts:
            yield prompt
    for contrast in (*supply.contrasts, *supply.dev_contrasts):
        alone = Supply(origin=supply.origin, contrasts=(contrast,))
        if any(text_sha256(learnt_text) in texts for learnt_text in alone.learnt_texts()):
            yield contrast


def _groups(examples: Iterable[Prompt | Contrast]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, set[str]] = {}
    for example in examples:
        for key, name in example.groups.items():
            groups.setdefault(key, set()).add(name)
    return {key: tuple(sorted(names)) for key, names in sorted(groups.items())}
