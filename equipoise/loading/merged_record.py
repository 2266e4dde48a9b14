"""What a merged model says of its making: `merged.json`, beside its weights.

With it the texts that an edit learnt from stay refused when the merged model is measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from equipoise.errors import ModelError
from equipoise.files.json_records import read_json
from equipoise.records import JSON

MERGED = "merged.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedRecord:
    """`merged.json`: a model's base, the edits that were merged into it, and what they learnt."""

    schema: Literal[1]
    base: str  # identity of the base, as results print it
    edits: Sequence[Mapping[str, JSON]]  # as in a result's `model_info`
    dtype: str  # that the weights were rounded to
    files: Mapping[str, str]  # sha256 (hex) of the weights' files by name, as they were written
    trained_on: Sequence[str]  # sha256 of each text that the edits learnt from
    start: str = "auto"  # `LanguageModel.start` of the edited model, with which it is opened again

    def to_json(self) -> dict[str, JSON]:
        """The content of the file."""
        return asdict(self)


_RECORDS = TypeAdapter(MergedRecord)


def read_merged(folder: Path) -> MergedRecord | None:
    """The record of a merged model; None: the folder has none.

    Raises `ModelError` for a record that is damaged, since it says what must not be measured.
    """
    path = folder / MERGED
    if not path.is_file():
        return None
    try:
        return _RECORDS.validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(
            f"{path} must be the record of a merged model, {first['msg']}, got "
            f"{first['input']!r:.80}; copy it again, or merge again"
        ) from error
