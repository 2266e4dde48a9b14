"""Scenes that break off, each in two wordings, with people of different groups put into them.

Own words, published with the package (CC0); a file of the same form may take their place.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from equipoise.errors import DataError
from equipoise.files.yaml_data import Lines, parse_yaml, read_yaml
from equipoise.group_words.counterfactuals import with_article
from equipoise.records import JSON, OPTIONS, DataUse

_OWN: Final = resources.files("equipoise.scenarios").joinpath("scenes.yaml")
_SLOT: Final = re.compile(r"\{([^{}]*)\}")
_PRONOUNS: Final[Mapping[str, tuple[str, str, str]]] = {
    "he": ("he", "him", "his"),
    "she": ("she", "her", "her"),
    "they": ("they", "them", "their"),
}
_SLOTS: Final = ("a person", "the person", "they", "them", "their")


@checked(frozen=True, kw_only=True, config=OPTIONS)
class Person:
    """Whom a scene is about, as a noun phrase without article, or by name."""

    person: Annotated[str, Field(pattern=r"\S")]
    pronoun: Literal["he", "she", "they"] = "they"
    named: bool = False  # a name, which has no article: "Tom"

    def mentioned(self, slot: str) -> str:
        """What stands in a slot, in lower case but for names."""
        subject, object_, possessive = _PRONOUNS[self.pronoun]
        words = {"they": subject, "them": object_, "their": possessive}
        if slot in words:
            return words[slot]
        if self.named:
            return self.person
        return with_article(self.person) if slot == "a person" else f"the {self.person}"


@checked(frozen=True, kw_only=True, config=OPTIONS)
class Scenes:
    """A file of scenes: people by axis and group, and the wordings of each scene by its name."""

    people: Annotated[
        dict[str, dict[str, Annotated[tuple[Person, ...], Field(min_length=1)]]],
        Field(min_length=1),
    ]
    scenes: Annotated[
        dict[str, Annotated[tuple[str, ...], Field(min_length=1)]], Field(min_length=1)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A scene in a wording about a person, to be continued."""

    id: str
    text: str
    template: str  # the text with its slots
    sample: int = 0  # of the texts that are written
    groups: Mapping[str, str] = field(default_factory=dict)


def read_scenes(file: str | None) -> tuple[Scenes, DataUse]:
    """The package's scenes, or those of a file, and what a result records of the file.

    Raises `RecipeError` for what is no YAML, and `DataError` naming file and line: another form, a
    slot that is not known or not closed, a wording without a person, or the same wording twice.
    """
    name = "scenarios/scenes.yaml" if file is None else file
    if file is None:
        content = _OWN.read_bytes()
        document, lines = parse_yaml(content.decode(), name, "file of scenes")
    else:
        document, lines = read_yaml(Path(file), "file of scenes")
        content = Path(file).read_bytes()
    scenes = _checked(document, lines, name)
    digest = hashlib.sha256(content).hexdigest()
    verified = True if file is None else None
    return scenes, DataUse(name=name, sha256=digest, licence="own", verified=verified)


def _checked(document: JSON, lines: Lines, name: str) -> Scenes:
    try:
        scenes = TypeAdapter(Scenes).validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = tuple(first["loc"])
        line = next((lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in lines), 1)
        raise DataError(
            f"{name}, line {line}: {'.'.join(map(str, place))}: {first['msg']}; correct it"
        ) from None
    for scene, wordings in scenes.scenes.items():
        where = f"{name}, line {lines.get(('scenes', scene), 1)}: scene '{scene}'"
        if len(set(wordings)) < len(wordings):
            raise DataError(f"{where} must not have the same wording twice; word one otherwise")
        for wording in wordings:
            _check_slots(wording, where)
    return scenes


def _check_slots(wording: str, where: str) -> None:
    slots = [slot.casefold() for slot in _SLOT.findall(wording)]
    unknown = [slot for slot in slots if slot not in _SLOTS]
    if unknown:
        raise DataError(
            f"{where} must have slots of {', '.join(f'{{{slot}}}' for slot in _SLOTS)}, got "
            f"{{{unknown[0]}}}; correct it"
        )
    if "{" in (rest := _SLOT.sub("", wording)) or "}" in rest:
        raise DataError(f"{where} must close every slot, got {wording!r}; complete its braces")
    if not {"a person", "the person"} & set(slots):
        raise DataError(
            f"{where} must mention its person in every wording, got {wording!r}; put {{a person}} "
            "into it"
        )


def fill(wording: str, person: Person) -> str:
    """The wording about the person; a slot that begins with a capital begins with one."""

    def put(match: re.Match[str]) -> str:
        slot = match[1]
        words = person.mentioned(slot.casefold())
        return words[0].upper() + words[1:] if slot[0].isupper() else words

    return _SLOT.sub(put, wording)


def scenes_about(scenes: Scenes, axes: tuple[str, ...] | None = None) -> Iterator[Scene]:
    """Every wording of every scene about every person of the axes, all of them by default.

    Groups: axis, group, scene, wording ("1", "2", ...), prompt.
    """
    for axis in scenes.people if axes is None else axes:
        for group, people in scenes.people[axis].items():
            for person in people:
                for scene, wordings in scenes.scenes.items():
                    for number, wording in enumerate(wordings, start=1):
                        id = f"{scene}/{number}/{axis}/{group}/{person.person}"
                        yield Scene(
                            id=id,
                            text=fill(wording, person),
                            template=wording,
                            groups={
                                "axis": axis,
                                "group": group,
                                "scene": scene,
                                "wording": str(number),
                                "prompt": id,
                            },
                        )
