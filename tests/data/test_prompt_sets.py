"""Professions and templates of a data folder's own: read strictly, and used in place of ours."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from equipoise.data.prompt_sets import PROMPTS, prompt_set
from equipoise.data.situations import Template
from equipoise.data.sources import reading_from
from equipoise.errors import DataError

OWN: dict[str, Any] = {
    "professions": {"nurse": -1, "pilot": 0.5, "cook": 0.0},
    "templates": [{"name": "slept", "text": "The {profession} slept because", "scale": "word"}],
    "hints": [{"name": "hint", "text": "The {profession} lost {possessive} bag because"}],
    "training_hints": [{"name": "other", "text": "The {profession} took {possessive} bag because"}],
}


def write(folder: Path, document: object) -> None:
    file = folder / PROMPTS.path
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(document))


def test_user_prompt_set(tmp_path: Path) -> None:
    write(tmp_path, OWN)
    with reading_from(tmp_path):
        prompts = prompt_set("prof_clean", "dama")
        (use,) = prompts.files
    assert [(term.word, term.score) for term in prompts.terms] == list(OWN["professions"].items())
    assert prompts.templates == (Template(**OWN["templates"][0]),)
    assert prompts.hints[0].scale == "hint"
    assert [example.id for example in prompts.situations("all", split_by="both", seed=0)] == [
        "slept/nurse", "slept/pilot", "slept/cook",
    ]  # fmt: skip
    assert (use.name, use.verified, use.licence) == (PROMPTS.path, False, "own")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("professions",), ["nurse"], "professions"),
        (("professions", "nurse"), 2, r"professions\.nurse .*got 2"),
        (("templates", 0, "text"), "He slept because", r"templates\[0\] .*\['prof"),
        (("templates", 0, "text"), "The {profession} {verb}", "{verb}"),
        (("hints", 0, "text"), "The {profession} slept because", "possessive"),
        (("hints", 0, "text"), "The {profession", r"hints\[0\] "),
        (("more",), 1, "more"),
    ],
)
def test_faults_are_named(
    tmp_path: Path, path: tuple[Any, ...], value: object, message: str
) -> None:
    document = copy.deepcopy(OWN)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    write(tmp_path, document)
    with reading_from(tmp_path), pytest.raises(DataError, match=f"prompts.json, .*{message}"):
        prompt_set()
