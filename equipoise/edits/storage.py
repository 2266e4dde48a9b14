"""How an edit lies on disk: `edit.json`, `trained_on.json`, safetensors and a card, in one folder.

`edit.json` names the kind, the schema and the sha256 of every other file, so that a cut or changed
file is found before it is used. The card (`README.md`) is for people and not among them: it may be
written anew when the edit has been measured. A folder is written beside its place and renamed into
it: there is never half an edit. Nothing is ever unpickled.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from equipoise.edits.edit import EditInfo, tensor_bytes
from equipoise.edits.model_card import card
from equipoise.errors import StoreError
from equipoise.records import JSON, DataUse

SCHEMA = 1
HEAD = "edit.json"
CARD = "README.md"
_TRAINED_ON = "trained_on.json"
_USES = TypeAdapter(tuple[DataUse, ...])
_INFO = (
    "method",
    "version",
    "options",
    "seed",
    "base",
    "base_fingerprint",
    "base_name",
    "origin",
    "report",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a folder holds besides where the edit came from."""

    kind: str
    values: Mapping[str, JSON] = field(default_factory=dict)  # small things, kept in edit.json
    documents: Mapping[str, JSON] = field(default_factory=dict)  # whole JSON files, by file name
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    tensors_file: str | None = None  # its name; None: there are no tensors

    @property
    def content(self) -> str:
        """sha256 (hex) of all of it, independent of the order of names."""
        digest = hashlib.sha256(_text([self.kind, dict(self.values), dict(self.documents)]))
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor_bytes(tensor))
        return digest.hexdigest()


def write_edit(folder: Path, info: EditInfo, stored: Stored) -> None:
    """Write an edit into a new folder, whole or not at all.

    Raises `StoreError` when the folder exists and is not empty, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(
            f"an edit must be saved into a new or empty folder, {folder} is not one; "
            "choose another name or remove it"
        )
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        beside.mkdir(parents=True)
        _fill(beside, info, stored)
        beside.replace(folder)
    except (OSError, ValueError) as error:  # ValueError: a number that JSON does not have
        raise StoreError(
            f"cannot write the edit {folder}: {error}; mend it and save again"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def read_edit(folder: Path) -> tuple[EditInfo, Stored]:
    """Read and check what `write_edit` wrote.

    Raises `StoreError` naming the file when one is missing, cut, changed or of a later schema.
    """
    head = read_head(folder)
    files = _mapping(head, "files", folder)
    for name, sha256 in files.items():
        if Path(name).name != name:
            raise StoreError(f"{folder / HEAD}: '{name}' must be a plain file name; save again")
        _check_file(folder / name, str(sha256))
    learnt = _learnt(folder)
    tensors_file = head.get("tensors_file")
    for needed in (_TRAINED_ON, tensors_file):
        if needed is not None and needed not in files:
            raise StoreError(f"{folder / HEAD} must list the file '{needed}'; save the edit again")
    documents = {
        name: _json(folder / name)
        for name in files
        if name not in (_TRAINED_ON, tensors_file) and name.endswith(".json")
    }
    stored = Stored(
        kind=str(head["kind"]),
        values=_mapping(head, "values", folder),
        documents=documents,
        tensors={} if tensors_file is None else read_tensors(folder / str(tensors_file)),
        tensors_file=None if tensors_file is None else str(tensors_file),
    )
    if stored.content != head.get("content"):
        raise StoreError(
            f"{folder / HEAD} must hold what its content hash was taken over, it has been changed; "
            "save the edit again"
        )
    return _info(_mapping(head, "info", folder), learnt, folder), stored


def write_card(folder: Path | str, changes: str | None) -> Path:
    """Write the card of a saved edit anew, whole or not at all; gives the file back.

    `changes`: as `edit_card.card`. Nothing else in the folder changes, and what somebody wrote
    into the card by hand is lost.
    Raises `StoreError` when the folder holds no edit or cannot be written to.
    """
    folder = Path(folder)
    head = read_head(folder)
    info = _info(_mapping(head, "info", folder), _learnt(folder), folder)
    beside = folder / f".{CARD}.{os.getpid()}.part"
    try:
        beside.write_bytes(card(info, str(head["kind"]), changes=changes).encode())
        beside.replace(folder / CARD)
    except (OSError, UnicodeEncodeError) as error:  # the latter: half a surrogate pair
        raise StoreError(
            f"cannot write the card in {folder}: {error}; mend it and retry"
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return folder / CARD


def read_head(folder: Path) -> dict[str, Any]:
    """`edit.json`, its schema and kind checked. Raises `StoreError`."""
    head = _json(folder / HEAD)
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        got = head.get("schema") if isinstance(head, dict) else type(head).__name__
        raise StoreError(
            f"{folder / HEAD} must have schema {SCHEMA}, got {got!r}; "
            "it is of another version of equipoise, or no edit"
        )
    if not isinstance(head.get("kind"), str):
        raise StoreError(
            f"{folder / HEAD} must name its kind, got {head.get('kind')!r}; save again"
        )
    return head


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU. Raises `StoreError` naming the file."""
    try:
        return dict(load_file(path))
    except FileNotFoundError as error:
        raise StoreError(f"{path} must be there, it is missing; copy the whole folder") from error
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"{path} must be a safetensors file, got: {error}; copy it again"
        ) from error


def _fill(folder: Path, info: EditInfo, stored: Stored) -> None:
    for name, document in stored.documents.items():
        (folder / name).write_bytes(_text(document))
    (folder / _TRAINED_ON).write_bytes(_text(sorted(info.trained_on)))
    if stored.tensors_file is not None:
        tensors = {name: one.detach().cpu().clone() for name, one in stored.tensors.items()}
        contiguous = {name: one.contiguous() for name, one in tensors.items()}
        # not `save_file`, which keeps the file from everybody but its owner
        content = save(contiguous, metadata={"format": "pt"})
        (folder / stored.tensors_file).write_bytes(content)
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": stored.kind,
        "content": stored.content,
        "info": {
            "method": info.method,
            "version": info.version,
            "options": dict(info.options),
            "seed": info.seed,
            "base": info.base,
            "base_fingerprint": info.base_fingerprint,
            "base_name": info.base_name,
            "base_kind": info.base_kind,
            "base_vocabulary": info.base_vocabulary,
            "origin": info.origin,
            "files": [asdict(file) for file in info.files],
            "report": dict(info.report),
        },
        "values": dict(stored.values),
        "tensors_file": stored.tensors_file,
        "files": {one.name: file_sha256(one) for one in sorted(folder.iterdir())},
    }
    (folder / HEAD).write_bytes(_text(head))
    (folder / CARD).write_bytes(card(info, stored.kind).encode())


def _learnt(folder: Path) -> list[str]:
    found = _json(folder / _TRAINED_ON)
    if not isinstance(found, list):
        raise StoreError(f"{folder / _TRAINED_ON} must hold a list, got {type(found).__name__}")
    return [str(one) for one in found]


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(document: object) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"{path} must be there, it is missing; copy the whole folder") from error
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path} must be JSON, got: {error}; it may be cut short, copy it again"
        ) from error


def _mapping(head: Mapping[str, Any], key: str, folder: Path) -> dict[str, Any]:
    found = head.get(key)
    if not isinstance(found, dict):
        raise StoreError(
            f"{folder / HEAD} must have '{key}' as a mapping, got {found!r}; save the edit again"
        )
    return found


def _check_file(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise StoreError(f"{path} must be there, it is missing; copy the whole folder")
    got = file_sha256(path)
    if got != sha256:
        raise StoreError(
            f"{path} must have sha256 {sha256[:12]}…, got {got[:12]}… ({path.stat().st_size} "
            "bytes); it is cut short or has been changed, copy it again"
        )


def _info(found: Mapping[str, Any], learnt: Iterable[str], folder: Path) -> EditInfo:
    missing = [key for key in _INFO if key not in found]
    if missing:
        raise StoreError(f"{folder / HEAD} must have info.{missing[0]}, it has none; save again")
    return EditInfo(
        **{key: found[key] for key in _INFO},
        base_kind=str(found.get("base_kind") or ""),
        base_vocabulary=str(found.get("base_vocabulary") or ""),
        files=_files(found, folder),
        trained_on=frozenset(learnt),
    )


def _files(found: Mapping[str, Any], folder: Path) -> tuple[DataUse, ...]:
    """What the supply was read from; an edit of before this was recorded names none."""
    try:
        return _USES.validate_python(found.get("files", ()))
    except ValidationError as error:
        raise StoreError(
            f"{folder / HEAD} must have info.files as a list of files with hashes, got: "
            f"{error.errors()[0]['msg']}; save the edit again"
        ) from error
