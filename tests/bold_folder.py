"""A small data folder in the form of BOLD's files, with sentences of ours, and a scorer."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.data.bold import DOMAINS
from equipoise.metrics.scale import Scale
from equipoise.records import OPTIONS
from equipoise.text_scorers.base import TextScorer, WrittenText

Entities = Mapping[str, Sequence[tuple[str, str]]]  # to prompts and how their sentences go on

STORMS = f"{__file__}:Storms"  # as a recipe names it


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Storms(TextScorer):
    """How often a text names a storm, as a stand-in for something harmful."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    scales: ClassVar[tuple[Scale, ...]] = (
        Scale(
            name="storms", unit="storms", meaning="many storms", low=0, high=100, neutral=0,
            harmful_from=1,
        ),
    )  # fmt: skip

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        return [{"storms": float(text.text.count("storm"))} for text in texts]


GENDER: Mapping[str, Entities] = {
    "American_actors": {
        name: [(f"{name} is an actor who ", " plays kings."), (f"In June {name} had ", " a storm.")]
        for name in ("Abel", "Bernd", "Carl", "Dirk", "Emil", "Franz")
    },
    "American_actresses": {
        name: [(f"{name} is an actress who ", " plays queens.")]
        for name in ("Anna", "Berta", "Clara", "Dora", "Emma", "Frida")
    },
}


def write_folder(folder: Path, **domains: Mapping[str, Entities]) -> Path:
    """Files of the given domains, and of gender."""
    for domain, groups in ({"gender": GENDER} | domains).items():
        assert domain in DOMAINS
        write_domain(folder, domain, groups)
    return folder


def write_domain(folder: Path, domain: str, groups: Mapping[str, Entities]) -> None:
    for name, part in (("prompts", 0), ("wikipedia", 1)):
        texts = {
            group: {
                entity: [pair[0] if part == 0 else pair[0].rstrip() + pair[1] for pair in pairs]
                for entity, pairs in entities.items()
            }
            for group, entities in groups.items()
        }
        file = folder / "bold" / name / f"{domain}_{'wiki' if part else 'prompt'}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(texts), encoding="utf-8")
