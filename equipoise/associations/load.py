"""A name or a file to an association."""

import dataclasses
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from equipoise.associations.association import Association
from equipoise.associations.unseen import unseen, unseen_use
from equipoise.data.documents import read_content
from equipoise.errors import DataError, RecipeError, nearest
from equipoise.files.json_records import record_json
from equipoise.files.parsing import decode
from equipoise.files.yaml_data import Lines, parse_yaml
from equipoise.records import DataUse

_FOLDER: Final = resources.files("equipoise.associations").joinpath("built_in")
_ENDINGS: Final = (".yaml", ".yml")
_LICENCE: Final = "own"


def names() -> tuple[str, ...]:
    """The built-in associations, sorted: those of BiasGym and three of other kinds of target."""
    files = (Path(entry.name) for entry in _FOLDER.iterdir())
    return tuple(sorted(file.stem for file in files if file.suffix == ".yaml"))


def load_association(name: str) -> Association:
    """A built-in or unseen association by its name, or a YAML file's, also of the data folder.

    Raises `RecipeError` with the nearest names for an unknown name, and `DataError` naming file,
    line and key of a fault.
    """
    if name in unseen():
        return unseen()[name].association()
    content, use = _read(name)
    return _parse(decode(content, use.name), use.name)


def association_use(name: str) -> DataUse:
    """What a result records of the file it is read from; errors as of `load_association`."""
    return unseen_use() if name in unseen() else _read(name)[1]


def association_sha256(association: Association) -> str:
    """Identity of all that it says: sha256 (hex) of its fields, whatever file they are from."""
    return hashlib.sha256(record_json(association).encode()).hexdigest()


def _read(name: str) -> tuple[bytes, DataUse]:
    if Path(name).suffix in _ENDINGS:
        return read_content(name)
    if name not in names():
        raise RecipeError(
            f"an association must be a built-in name or a .yaml file, got '{name}'; "
            f"{nearest(name, (*names(), *unseen()))}"
        )
    content = _FOLDER.joinpath(f"{name}.yaml").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    use = DataUse(name=f"associations/{name}.yaml", sha256=digest, licence=_LICENCE, verified=True)
    return content, use


@lru_cache(maxsize=64)
def _parse(text: str, where: str) -> Association:
    document, lines = parse_yaml(text, where, "specification")
    if not isinstance(document, dict):
        raise DataError(
            f"{where} must hold keys and values, got {type(document).__name__}; write "
            "'statement: people from {target} …' and the others so"
        )
    return build_association(document, lines, where)


def build_association(document: Mapping[str, Any], lines: Lines, where: str) -> Association:
    """An association of the values of its fields. `DataError` names `where`, line and key."""
    known = {about.name: about for about in dataclasses.fields(Association)}
    for key in document:
        if key not in known:
            line = lines.get((key,), 1)
            raise DataError(
                f"{where} line {line}: '{key}' is no key of an association; {nearest(key, known)}"
            )
    needed = [
        key
        for key, about in known.items()
        if about.default is about.default_factory is dataclasses.MISSING
    ]
    missing = [key for key in needed if key not in document]
    if missing:
        raise DataError(f"{where} must have the key '{missing[0]}', got {sorted(document)}; add it")
    try:
        return Association(**document)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        path = fault["loc"]
        line = next(lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in lines)
        place = f"'{'.'.join(map(str, path))}' " if path else ""
        message = fault["msg"].removeprefix("Value error, ").replace("Input should", "must")
        got = "" if fault["type"] == "value_error" else f", got {str(fault['input'])[:60]!r}"
        raise DataError(f"{where} line {line}: {place}{message}{got}; correct it") from None
