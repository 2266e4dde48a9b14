"""The package's own lists of people by axis and group (their form: `counterparts.py`)."""

import json
from importlib.resources import files
from pathlib import Path

from equipoise.data.sources import parse_json, unpacked
from equipoise.records import JSON


def counterparts(file: str | None = None) -> JSON:
    """Axes of groups of members: gender, religion, race and nationality; or those of a JSON file.

    Raises `DataError` when the file cannot be read.
    """
    if file is None:
        found: JSON = json.loads(
            files("equipoise.group_words").joinpath("counterparts.json").read_text("utf-8")
        )
        return found
    return parse_json(unpacked(Path(file).expanduser()), file)
