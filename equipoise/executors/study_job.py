"""What workers are told of a study: a file of plain values in its store.

It can be read by any version of the package, so that a worker with another one says so, and what a
worker sees of the recipe's data is compared with what the command saw.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter

import equipoise
from equipoise.data.sources import named_folder
from equipoise.files.atomic import folder_sha256
from equipoise.installed import version_of
from equipoise.models.kernels import float32_matmul
from equipoise.records import JSON, Margin
from equipoise.study.plan import Plan
from equipoise.study.recipe import Recipe
from equipoise.study.store import Store, to_text

StudyJob: TypeAlias = Mapping[str, Any]

#: Variables that workers take over: folders, and how the Hub is asked.
_FOLDERS: Final = ("EQUIPOISE_DATA", "EQUIPOISE_CACHE", "HF_HOME", "HF_HUB_CACHE")
_OTHERS: Final = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TOKENIZERS_PARALLELISM")
_CODE: Final = (".py", ".yaml", ".json", ".tsv")
_RECIPE: TypeAdapter[Recipe] = TypeAdapter(Recipe)


def write_job(plan: Plan, store: Store, *, device: str, batch_tokens: int | None) -> Path:
    """Write what the steps of a plan have in common; gives the file. Raises `PlaceError`."""
    data = named_folder()
    folders = {
        name: str(Path(value).expanduser().absolute())
        for name in _FOLDERS
        if (value := os.environ.get(name))
    }
    job = {
        "package": describe_package(),
        # margins apart: they are read from numbers and texts, and written as neither
        "recipe": _RECIPE.dump_python(plan.recipe, mode="json", exclude={"margins"}),
        "margins": {key: asdict(margin) for key, margin in plan.recipe.margins.items()},
        "contents": {step.key: [step.title, dict(step.content)] for step in plan.steps},
        "data": None if data is None else str(data.absolute()),
        "device": device,
        "batch_tokens": batch_tokens,
        # which library is faster is measured by each process: all take this one's
        "float32_matmul": float32_matmul(),
        "variables": folders | {name: os.environ[name] for name in _OTHERS if name in os.environ},
    }
    text = to_text(job)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    file = (store.folder / "logs" / f"study-{digest}.json").absolute()
    store.write_file(file, text)
    return file


def read_recipe(job: StudyJob) -> Recipe:
    """The recipe of a study."""
    margins = {key: Margin(**margin) for key, margin in job["margins"].items()}
    recipe = _RECIPE.validate_json(json.dumps(job["recipe"]), strict=True)
    return replace(recipe, margins=margins)


@cache
def describe_package() -> dict[str, str]:
    """Version and code of the package as this process has it."""
    folder = Path(equipoise.__file__).parent
    return {"version": version_of("equipoise"), "code": folder_sha256(folder, suffixes=_CODE)[:12]}


def find_difference(expected: JSON, got: JSON, name: str = "") -> str:
    """Where two documents differ first, and in what; empty where they do not."""
    pairs: list[tuple[str, JSON, JSON]]
    if isinstance(expected, dict) and isinstance(got, dict):
        pairs = [(key, expected.get(key), got.get(key)) for key in {**expected, **got}]
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        pairs = [(str(i), *both) for i, both in enumerate(zip(expected, got, strict=True))]
    else:
        return "" if expected == got else f"{name} is {_clip(got)} in place of {_clip(expected)}"
    inner = (
        find_difference(first, second, f"{name}.{key}".lstrip(".")) for key, first, second in pairs
    )
    return next(filter(None, inner), "")


def _clip(value: JSON) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
