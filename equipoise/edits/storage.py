"""An edit on disk: a folder of `edit.json`, `trained_on.json`, safetensors and a model card.

`edit.json` names the kind, the schema and the sha256 of every other file, so that a file that is
cut or changed is refused before it is used; not of the card (`README.md`), which is written again
when the edit has been measured. Nothing is ever unpickled.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from equipoise.edits.edit import EditInfo, tensor_bytes
from equipoise.edits.model_card import card
from equipoise.errors import StoreError
from equipoise.files.atomic import new_folder, sha256, write_file
from equipoise.files.json_records import read_json
from equipoise.records import JSON

HEAD = "edit.json"
CARD = "README.md"
_TRAINED_ON = "trained_on.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a folder holds besides the record of where the edit came from."""

    kind: str
    values: Mapping[str, JSON] = field(default_factory=dict)  # small values, in edit.json
    documents: Mapping[str, JSON] = field(default_factory=dict)  # whole JSON files, by file name
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    tensors_file: str | None = None  # its name; None: there are no tensors

    @property
    def content(self) -> str:
        """sha256 (hex) of all of it, independent of the order of names."""
        digest = hashlib.sha256(_to_json([self.kind, dict(self.values), dict(self.documents)]))
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor_bytes(tensor))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """`edit.json`; what the edit learnt from (`info.trained_on`) is in `trained_on.json`."""

    schema: Literal[1]
    kind: str
    content: str  # `Stored.content`
    info: EditInfo
    values: Mapping[str, JSON]
    tensors_file: str | None
    files: Mapping[str, str]  # sha256 (hex) by name, of every file but this and the card


_HEADS = TypeAdapter(Head)


def write_edit(folder: Path, info: EditInfo, stored: Stored) -> None:
    """Write an edit into a new folder, whole or not at all.

    Raises `StoreError` when the folder exists and is not empty, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(
            f"an edit must be saved into a new or empty folder, got {folder}; "
            "choose another name or remove it"
        )
    record = {key: value for key, value in asdict(info).items() if key != "trained_on"}
    try:
        with new_folder(folder, what="edit") as beside:
            for name, document in stored.documents.items():
                (beside / name).write_bytes(_to_json(document))
            (beside / _TRAINED_ON).write_bytes(_to_json(sorted(info.trained_on)))
            if stored.tensors_file is not None:
                tensors = {
                    name: tensor.detach().cpu().clone().contiguous()
                    for name, tensor in stored.tensors.items()
                }
                # `save_file` would make a file that only its owner may read
                content = save(tensors, metadata={"format": "pt"})
                (beside / stored.tensors_file).write_bytes(content)
            head = Head(
                schema=1,
                kind=stored.kind,
                content=stored.content,
                info=info,
                values=stored.values,
                tensors_file=stored.tensors_file,
                files={file.name: sha256(file) for file in sorted(beside.iterdir())},
            )
            (beside / HEAD).write_bytes(_to_json(asdict(head) | {"info": record}))
            (beside / CARD).write_bytes(card(info, stored.kind).encode())
    except ValueError as error:  # a number that JSON does not have, or half a surrogate pair
        raise StoreError(f"cannot write the edit {folder}: {error}; change that value") from error


def read_edit(folder: Path) -> tuple[EditInfo, Stored]:
    """Read and check what `write_edit` wrote.

    Raises `StoreError` naming the file that is missing, cut, changed or of another schema.
    """
    head = read_head(folder)
    for name, expected in head.files.items():
        if Path(name).name != name:
            raise StoreError(f"{folder / HEAD}: '{name}' must be a plain file name; save again")
        if not (folder / name).is_file():
            raise StoreError(f"{folder / name} must be there, it is missing; copy the whole folder")
        if (digest := sha256(folder / name)) != expected:
            raise StoreError(
                f"{folder / name} must have sha256 {expected}, got {digest}; it is cut short or "
                "has been changed, copy it again"
            )
    for needed in (_TRAINED_ON, head.tensors_file):
        if needed is not None and needed not in head.files:
            raise StoreError(f"{folder / HEAD} must list the file '{needed}'; save the edit again")
    stored = Stored(
        kind=head.kind,
        values=head.values,
        documents={
            name: read_json(folder / name)
            for name in head.files
            if name not in (_TRAINED_ON, head.tensors_file) and name.endswith(".json")
        },
        tensors={} if head.tensors_file is None else read_tensors(folder / head.tensors_file),
        tensors_file=head.tensors_file,
    )
    if stored.content != head.content:
        raise StoreError(
            f"{folder / HEAD} must hold the content that its hash was computed from, it has been "
            "changed; save the edit again"
        )
    return head.info, stored


def write_card(folder: Path | str, changes: str | None) -> Path:
    """Write the card of a saved edit again, whole or not at all; returns its path.

    `changes`: as `model_card.card`. Nothing else in the folder changes; what somebody wrote into
    the card by hand is lost.
    Raises `StoreError` when the folder holds no edit or cannot be written to.
    """
    folder = Path(folder)
    head = read_head(folder)
    return write_file(folder / CARD, card(head.info, head.kind, changes=changes), what="card")


def read_head(folder: Path) -> Head:
    """`edit.json` with `trained_on.json`, without the hashes checked. Raises `StoreError`."""
    document = read_json(folder / HEAD)
    if isinstance(document, dict) and isinstance(document.get("info"), dict):
        document["info"]["trained_on"] = read_json(folder / _TRAINED_ON)
    try:
        return _HEADS.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"{key}: " for key in first["loc"])
        raise StoreError(
            f"{folder / HEAD} must be the record of an edit, {place}{first['msg']}, got "
            f"{first['input']!r:.80}; it is of another version, or has been changed: save it again"
        ) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU. Raises `StoreError` naming the file."""
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"{path} must be a safetensors file, got: {error}; copy the whole folder again"
        ) from error


def _to_json(document: object) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
