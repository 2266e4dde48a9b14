"""True facts with the answer last, as files hold them: ROME's known_1000 and T-REx with patterns.

Sources: Meng et al. 2022 (ROME); Petroni et al. 2019 (LAMA's T-REx) with the patterns of Elazar et
al. 2021 (ParaRel). Of a relation's patterns the first whose answer ends the sentence is taken.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

from equipoise.data.sources import Source, read_json, read_jsonl
from equipoise.errors import DataError
from equipoise.records import JSON

KNOWN_1000: Final = Source(
    path="known_facts/known_1000.json",
    url="https://raw.githubusercontent.com/kmeng01/rome/448f8fe556cf267e0b71d02a9f3b4dec9858ec58/counterfact/compiled/known_1000.json",
    revision="448f8fe556cf267e0b71d02a9f3b4dec9858ec58",
    sha256=("61daca55318bb5260c1e62e133debef9102c7b278bbc7b19dd2ac655543f333a",),
    licence="MIT",
)
_PARAREL: Final = "https://raw.githubusercontent.com/yanaiela/pararel/cb55546/data"
_LICENCE: Final = "patterns MIT; facts CC BY-SA 4.0 (T-REx) through CC BY-NC 4.0 (LAMA)"

#: "… [Y]." or "… [Y] ." with the subject before it.
_ANSWER_LAST: Final = re.compile(r"^(?P<before>.*\[X\].*?)\s*\[Y\]\s*\.?\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A prompt that one answer truly continues."""

    id: str
    prompt: str  # no trailing space
    answer: str  # no leading space
    relation: str  # Wikidata property, e.g. "P19"
    subject: str


def known_facts() -> tuple[Fact, ...]:
    """The 1,209 facts of known_1000.

    Raises `DataError` for a missing key, a duplicate id or an unreadable file.
    """
    rows = read_json(KNOWN_1000)
    if not isinstance(rows, list) or not rows:
        raise DataError(
            f"{KNOWN_1000.path} must be a list of facts, got {type(rows).__name__} with nothing "
            "to read; replace the file"
        )
    keys = ("known_id", "prompt", "attribute", "relation_id", "subject")
    fields = [
        _fields(row, keys, f"{KNOWN_1000.path}, fact {index}") for index, row in enumerate(rows)
    ]
    facts = [
        Fact(id=id, prompt=prompt.rstrip(), answer=answer.strip(), relation=relation, subject=sub)
        for id, prompt, answer, relation, sub in fields
    ]
    return _unique(facts, KNOWN_1000.path)


def trex_facts() -> tuple[Fact, ...]:
    """The facts of the 39 relations that have a pattern, in the order of the relations' numbers.

    Raises `DataError` for a missing file or key, a duplicate fact, or a relation without a pattern
    whose answer comes last.
    """
    return tuple(fact for relation in _pins() for fact in _of_relation(relation))


def trex_sources() -> tuple[Source, ...]:
    """Every file behind `trex_facts`."""
    return tuple(source for relation in _pins() for source in _sources(relation))


def _of_relation(relation: str) -> tuple[Fact, ...]:
    source, patterns = _sources(relation)
    before = _beginning(patterns)
    keys = ("uuid", "sub_label", "obj_label")
    rows = [
        _fields(row, keys, f"{source.path}, line {index}")
        for index, row in enumerate(read_jsonl(source), start=1)
    ]
    facts = [
        Fact(
            id=f"{relation}/{uuid}",
            prompt=before.replace("[X]", subject),
            answer=answer,
            relation=relation,
            subject=subject,
        )
        for uuid, subject, answer in rows
    ]
    return _unique(facts, source.path)


def _beginning(patterns: Source) -> str:
    """What stands before the answer in the first pattern that ends with it."""
    texts = [
        _fields(row, ("pattern",), f"{patterns.path}, line {index}")[0]
        for index, row in enumerate(read_jsonl(patterns), start=1)
    ]
    for text in texts:
        match = _ANSWER_LAST.match(text)
        if match:
            return match["before"]
    raise DataError(
        f"{patterns.path} must have a pattern with [X] that ends in '[Y].', got {texts}; "
        "replace the file"
    )


def _fields(row: JSON, keys: Sequence[str], where: str) -> tuple[str, ...]:
    if not isinstance(row, dict):
        raise DataError(f"{where}: must be an object with {list(keys)}, got {row!r}; correct it")
    values = []
    for key in keys:
        value = row.get(key)
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
            raise DataError(f"{where}: must have a '{key}', got {sorted(row)}; correct this fact")
        values.append(str(value))
    return tuple(values)


def _unique(facts: Sequence[Fact], where: str) -> tuple[Fact, ...]:
    seen: set[str] = set()
    for fact in facts:
        if fact.id in seen:
            raise DataError(f"{where}: fact ids must be unique, got '{fact.id}' twice; drop one")
        seen.add(fact.id)
    return tuple(facts)


def _sources(relation: str) -> tuple[Source, Source]:
    """The facts and the patterns of a relation."""
    sums = _pins()[relation]
    name = f"{relation}.jsonl"
    return (
        Source(
            path=f"pararel/trex_lms_vocab/{name}",
            url=f"{_PARAREL}/trex_lms_vocab/{name}",
            revision="cb55546",
            sha256=(sums["facts"],),
            licence=_LICENCE,
        ),
        Source(
            path=f"pararel/patterns/{name}",
            url=f"{_PARAREL}/pattern_data/graphs_json/{name}",
            revision="cb55546",
            sha256=(sums["patterns"],),
            licence=_LICENCE,
        ),
    )


@lru_cache(maxsize=1)
def _pins() -> Mapping[str, Mapping[str, str]]:
    """Relation to the sha256 of its two official files."""
    listed: dict[str, dict[str, str]] = json.loads(
        files("equipoise.data").joinpath("pararel.json").read_text("utf-8")
    )
    return listed
