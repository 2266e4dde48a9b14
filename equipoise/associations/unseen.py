"""Associations that nothing is learnt of, each with sentences to be continued (BiasGym, 4.5).

What an edit against other associations does to them. In the paper they are sentences of SHADES;
here they are our own, and `read_sentences` takes any others.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from equipoise.associations.association import SLOT, Association
from equipoise.files.yaml_data import parse_yaml
from equipoise.records import DataUse

_FILE: Final = resources.files("equipoise.associations").joinpath("unseen.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """An association by what a judge needs, and its sentences."""

    name: str
    attribute: str
    being: str  # the quality that a judge looks for
    topic: str
    words: tuple[str, ...]  # by which it is recognized; the first is the answer
    stems: tuple[str, ...]  # sentences about {target} that break off

    def association(self) -> Association:
        """The association, about a country."""
        return Association(
            name=self.name,
            statement=f"people from {SLOT} {self.attribute}",
            attribute=self.attribute,
            being=self.being,
            topic=self.topic,
            answers=(self.words[0].removesuffix("*"),),
            words=self.words,
        )


@cache
def unseen() -> Mapping[str, Unseen]:
    """All of them by name."""
    document, _ = parse_yaml(_FILE.read_text("utf-8"), "unseen.yaml", "specification")
    entries = TypeAdapter(tuple[Unseen, ...]).validate_python(document)
    return {entry.name: entry for entry in entries}


def unseen_use() -> DataUse:
    """What a result records of the file that they are in."""
    digest = hashlib.sha256(_FILE.read_bytes()).hexdigest()
    return DataUse(name="associations/unseen.yaml", sha256=digest, licence="own", verified=True)
