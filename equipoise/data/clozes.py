"""True facts with the answer last, as files hold them: ROME's known_1000 and T-REx with patterns.

Sources: Meng et al. 2022 (ROME); Petroni et al. 2019 (LAMA's T-REx) with the patterns of Elazar et
al. 2021 (ParaRel). Of a relation's patterns the first whose answer ends the sentence is taken.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Final

from annotated_types import Len
from pydantic import RootModel

from equipoise.data.sources import Source, read_json
from equipoise.data.validation import Number, Record, Text, read_lines, read_record, refuse_repeated
from equipoise.errors import DataError

KNOWN_1000: Final = Source(
    path="known_facts/known_1000.json",
    url="https://raw.githubusercontent.com/kmeng01/rome/448f8fe556cf267e0b71d02a9f3b4dec9858ec58/counterfact/compiled/known_1000.json",
    hashes=("61daca55318bb5260c1e62e133debef9102c7b278bbc7b19dd2ac655543f333a",),
    licence="MIT",
)
#: "… [Y]." or "… [Y] ." with the subject before it.
_ANSWER_LAST: Final = re.compile(r"^(?P<before>.*\[X\].*?)\s*\[Y\]\s*\.?\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A prompt that a single answer truly continues."""

    id: str
    prompt: str  # no trailing space
    answer: str  # no leading space
    relation: str  # Wikidata property, e.g. "P19"
    subject: str
    #: The relation's template filled in, where the prompt goes on with words of another model's.
    bare: str | None = field(default=None, repr=False)  # worlds are known by their representation

    @property
    def holds_answer(self) -> bool:
        """Whether the prompt has the answer in it, also inside a word: copying is enough."""
        return self.answer.casefold() in self.prompt.casefold()


class _KnownFact(Record):
    known_id: Number
    prompt: Text
    attribute: Text
    relation_id: Text
    subject: Text
    template: str = ""  # with {} for the subject

    @property
    def bare(self) -> str | None:
        """The template filled in, where the prompt is longer."""
        filled = self.template.replace("{}", self.subject).rstrip()
        longer = "{}" in self.template and self.prompt.rstrip() != filled
        return filled if longer else None


class _KnownFacts(RootModel[Annotated[list[_KnownFact], Len(1)]]):
    """The whole file."""


class _TrexFact(Record):
    uuid: Text
    sub_label: Text
    obj_label: Text


class _Pattern(Record):
    pattern: Text


def known_facts() -> tuple[Fact, ...]:
    """The 1,209 facts of known_1000.

    Raises `DataError` for a missing key, a duplicate id or an unreadable file.
    """
    rows = read_record(_KnownFacts, read_json(KNOWN_1000), KNOWN_1000.path).root
    refuse_repeated((row.known_id for row in rows), f"{KNOWN_1000.path}: fact")
    return tuple(
        Fact(
            id=row.known_id,
            # in 478 facts longer than the template filled in, by words that GPT-2 XL wrote
            prompt=row.prompt.rstrip(),
            answer=row.attribute.strip(),
            relation=row.relation_id,
            subject=row.subject,
            bare=row.bare,
        )
        for row in rows
    )


def trex_facts() -> tuple[Fact, ...]:
    """The facts of the 39 relations that have a pattern, in the order of the relations' numbers.

    Raises `DataError` for a missing file or key, a duplicate fact, or a relation without a pattern
    whose answer comes last.
    """
    return tuple(
        fact
        for relation, sources in _relations().items()
        for fact in _read_relation(relation, *sources)
    )


def trex_sources() -> tuple[Source, ...]:
    """Every file behind `trex_facts`."""
    return tuple(source for sources in _relations().values() for source in sources)


def _read_relation(relation: str, facts: Source, patterns: Source) -> list[Fact]:
    texts = [row.pattern for _, row in read_lines(_Pattern, patterns.read(), patterns.path)]
    before = next((match["before"] for match in map(_ANSWER_LAST.match, texts) if match), None)
    if before is None:
        raise DataError(
            f"{patterns.path} must have a pattern with [X] that ends in '[Y].', got {texts}; "
            "replace the file"
        )
    rows = [row for _, row in read_lines(_TrexFact, facts.read(), facts.path)]
    refuse_repeated((row.uuid for row in rows), f"{facts.path}: fact")
    return [
        Fact(
            id=f"{relation}/{row.uuid}",
            prompt=before.replace("[X]", row.sub_label),
            answer=row.obj_label,
            relation=relation,
            subject=row.sub_label,
        )
        for row in rows
    ]


@lru_cache(maxsize=1)
def _relations() -> Mapping[str, tuple[Source, Source]]:
    """Relation to the files of its facts and of its patterns."""
    pins: dict[str, dict[str, str]] = json.loads(
        files("equipoise.data").joinpath("pararel.json").read_text("utf-8")
    )
    return {
        relation: (
            _pararel("trex_lms_vocab", "trex_lms_vocab", relation, sha256=pin["facts"]),
            _pararel("patterns", "pattern_data/graphs_json", relation, sha256=pin["patterns"]),
        )
        for relation, pin in pins.items()
    }


def _pararel(folder: str, official: str, relation: str, *, sha256: str) -> Source:
    url = f"https://raw.githubusercontent.com/yanaiela/pararel/cb55546/data/{official}"
    return Source(
        path=f"pararel/{folder}/{relation}.jsonl",
        url=f"{url}/{relation}.jsonl",
        hashes=(sha256,),
        licence="patterns MIT; facts CC BY-SA 4.0 (T-REx) through CC BY-NC 4.0 (LAMA)",
    )
