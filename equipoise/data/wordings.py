"""The package's own word lists and sentences for methods that act while a text is written.

`counterparts.json` names people by axis and group (its form: `models/counterparts.py`);
`bias_prefixes.json` announces a bias, for each type in five wordings. All are ours. The types are
those of CrowS-Pairs; "profession" and "race", StereoSet's names, stand for "socioeconomic" and
"race-color" (neither the paper nor its code has a prefix for professions).
"""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Final

from equipoise.data.sources import parse_json, unpacked
from equipoise.errors import DataError, nearest
from equipoise.records import JSON

#: Other names of types.
SAME_TYPE: Final[Mapping[str, str]] = MappingProxyType(
    {"profession": "socioeconomic", "race": "race-color"}
)


def counterparts(file: str | None = None) -> JSON:
    """Axes of groups of members: gender, religion, race and nationality; or those of a JSON file.

    Raises `DataError` when the file cannot be read.
    """
    if file is None:
        found: JSON = json.loads(_text("counterparts.json"))
        return found
    return parse_json(unpacked(Path(file).expanduser()), file)


def bias_prefixes() -> Mapping[str, tuple[str, ...]]:
    """Bias type to its wordings, the usual one first; without a space at the end."""
    found: dict[str, list[str]] = json.loads(_text("bias_prefixes.json"))
    return {name: tuple(wordings) for name, wordings in found.items()}


def bias_type(name: str) -> str:
    """The type that a name stands for. Raises `DataError` with the nearest names."""
    known = bias_prefixes()
    found = SAME_TYPE.get(name, name)
    if found not in known:
        raise DataError(f"bias type '{name}' has no prefix; {nearest(name, (*known, *SAME_TYPE))}")
    return found


def _text(name: str) -> str:
    return files("equipoise.data").joinpath(name).read_text("utf-8")
