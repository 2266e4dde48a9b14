"""The texts of `templates/`: paragraphs, questions and prompts of any association.

Written for any association that gives the six forms of `wording.forms`; plain, mild English.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from equipoise.files.yaml_data import parse_yaml

_FOLDER: Final = resources.files("equipoise.associations").joinpath("templates")


class Template(NamedTuple):
    """A paragraph without its last sentence, which the style brings."""

    implicitness: int  # 1: says it outright, 5: leaves it to the reader
    text: str  # with the forms of an association, and {when}, {where}, {name}, {other}


@dataclass(frozen=True, kw_only=True)
class ParagraphTemplates:
    """What paragraphs are put together from."""

    media: Mapping[str, tuple[Template, ...]]
    settings: Mapping[str, tuple[str, ...]]  # topic to where it happens
    when: tuple[tuple[str, str], ...]  # at the end of a clause, and as a noun
    when_next: tuple[str, ...]
    names: tuple[str, ...]
    styles: Mapping[str, tuple[str, ...]]  # to last sentences
    impersonal: Mapping[str, tuple[str, ...]]  # medium to the styles it has; else all
    joints: Mapping[str, str]  # medium to what stands before the last sentence; else a space
    justifications: tuple[str, ...]  # of the scores from 1 to 5


@dataclass(frozen=True, kw_only=True)
class QuestionTemplates:
    """What questions are put together from."""

    questions: tuple[str, ...]  # each is answered with a word
    frames: tuple[str, ...]  # with {question}; the first leaves it as it is


@cache
def paragraph_templates() -> ParagraphTemplates:
    """Those of `paragraphs.yaml`."""
    return TypeAdapter(ParagraphTemplates).validate_python(_read("paragraphs"))


@cache
def question_templates() -> QuestionTemplates:
    """Those of `questions.yaml`."""
    return TypeAdapter(QuestionTemplates).validate_python(_read("questions"))


@cache
def prompt_templates() -> Mapping[str, tuple[str, ...]]:
    """Those of `prompts.yaml`, by methodology."""
    kind = TypeAdapter(dict[str, dict[str, tuple[str, ...]]])
    return kind.validate_python(_read("prompts"))["methodologies"]


@cache
def request_templates() -> Mapping[str, Mapping[str, str]]:
    """Those of `requests.yaml`: what is asked for to the texts of the roles."""
    return TypeAdapter(dict[str, dict[str, str]]).validate_python(_read("requests"))


def _read(name: str) -> object:
    text = _FOLDER.joinpath(f"{name}.yaml").read_text("utf-8")
    return parse_yaml(text, f"{name}.yaml", "list of templates")[0]
