"""Edit: a small change to a model; attached in a `with` block, undone after it, saved as a folder.

The kinds: `weights` (replaced parameters), `adapter` (a PEFT adapter), `prompts` (a family of
prefixes), `next_token` (a rule of decoding), `heads` (scaled attention heads), `combined` (two of
them); `registry.load_edit` reads any.

A folder has `edit.json`, `trained_on.json`, safetensors and a model card. `edit.json` names the
kind, the schema and the sha256 of every other file, so that a file that is cut or changed is
refused before it is used. The card (`README.md`) is not among them: it is written again when the
edit has been measured. The folder appears whole or not at all, and nothing is ever unpickled.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from equipoise.edits.edit import EditInfo, check_stacked, is_requantized, tensor_bytes
from equipoise.edits.model_card import card
from equipoise.edits.token_tables import check_rows, count_rows
from equipoise.edits.tokenizer import is_tokenizer_file, put_tokenizer, read_tokenizer_files
from equipoise.errors import StoreError
from equipoise.files.atomic import check_new, new_folder, sha256, write_file
from equipoise.files.json_records import read_json
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.sentence_encoder import check_predicts
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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Edit(ABC):
    """A change to a model: what its folder holds, and how it is put into a model."""

    kind: ClassVar[str]  # in `edit.json`

    info: EditInfo  # where it came from
    #: files of a tokenizer that stands beside it, by name; empty: that of the base
    tokenizer: Mapping[str, bytes] = field(default_factory=dict)

    def __repr__(self) -> str:
        info = self.info
        return f"<{type(self).__name__} {info.method} of {info.base}, seed {info.seed}>"

    @abstractmethod
    def stored(self) -> Stored:
        """What the folder holds besides the record; `_from_stored` reads it."""

    def documents_for_others(self) -> Mapping[str, JSON]:
        """The documents of `stored` as they are written, with what other programs look for."""
        return self.stored().documents

    @classmethod
    def documents_of_ours(cls, documents: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """What `documents_for_others` was made from."""
        return documents

    @classmethod
    @abstractmethod
    def _from_stored(cls, info: EditInfo, stored: Stored, folder: Path) -> Self:
        """The edit of this content. Raises `StoreError` naming the file at fault."""

    @abstractmethod
    def put(self, model: LanguageModel, undo: ExitStack) -> LanguageModel:
        """Change the model in place, tell `undo` how to undo that, and return the edited model.

        Raises `ModelError` when the model is not that of the edit; what was changed is undone.
        """

    @property
    def content(self) -> str:
        """sha256 (hex) of what it changes; two edits with equal contents change a model alike."""
        content = self.stored().content
        if not self.tokenizer:
            return content
        digest = hashlib.sha256(content.encode())
        for name, file in sorted(self.tokenizer.items()):
            digest.update(f"{name} {hashlib.sha256(file).hexdigest()}\n".encode())
        return digest.hexdigest()

    @contextmanager
    def attached(self, model: LanguageModel) -> Iterator[LanguageModel]:
        """The edited model for the length of a `with` block; afterwards every byte is as before.

        Meanwhile `model` itself answers as edited. Blocks may be nested; where two touch the same
        parameters, the inner edit must have been learnt on the model with the outer edit.
        Raises `ModelError` when the model is not that of the edit.
        """
        with ExitStack() as undo:
            yield self._enter(model, undo)

    def apply(self, model: LanguageModel) -> LanguageModel:
        """The edited model for good: the weights of `model` itself are changed and stay so.

        Raises `ModelError` as `attached` does, and then changes nothing.
        """
        with ExitStack() as undo:
            edited = self._enter(model, undo)
            undo.pop_all()
            return edited

    def _enter(self, model: LanguageModel, undo: ExitStack) -> LanguageModel:
        """Put the tokenizer in, then the edit, which must fill the rows of added tokens."""
        check_predicts(model, "edited")
        check_stacked(model, self.info)
        rows = count_rows(model.module)
        edited = self.put(put_tokenizer(model, self.tokenizer, self.stored().tensors, undo), undo)
        check_rows(edited, rows)
        return edited

    def save(self, folder: Path | str) -> None:
        """Write `edit.json`, safetensors and a model card into a new folder, whole or not at all.

        The same edit gives the same bytes, so `info.report` holds no times of day and no durations.
        Raises `StoreError` when the folder exists and is not empty, or cannot be written.
        """
        folder = Path(folder)
        check_new(folder, what="an edit")
        try:
            with new_folder(folder, what="edit") as beside:
                self._fill(beside)
        except ValueError as error:  # a number that JSON does not have, or half a surrogate pair
            raise StoreError(
                f"cannot write the edit {folder}: {error}; change that value"
            ) from error

    def _fill(self, folder: Path) -> None:
        info, stored = self.info, self.stored()
        for name, document in self.documents_for_others().items():
            (folder / name).write_bytes(_to_json(document))
        for name, content in self.tokenizer.items():
            (folder / name).write_bytes(content)
        (folder / _TRAINED_ON).write_bytes(_to_json(sorted(info.trained_on)))
        if stored.tensors_file is not None:
            # cloned, for safetensors refuses tensors that share memory
            tensors = {
                name: tensor.detach().cpu().clone().contiguous()
                for name, tensor in stored.tensors.items()
            }
            # `save_file` would make a file that only its owner may read
            (folder / stored.tensors_file).write_bytes(save(tensors, metadata={"format": "pt"}))
        head = Head(
            schema=1,
            kind=stored.kind,
            content=stored.content,
            info=info,
            values=stored.values,
            tensors_file=stored.tensors_file,
            files={file.name: sha256(file) for file in sorted(folder.iterdir())},
        )
        record = {key: value for key, value in asdict(info).items() if key != "trained_on"}
        (folder / HEAD).write_bytes(_to_json(asdict(head) | {"info": record}))
        (folder / CARD).write_bytes(card(info, stored.kind).encode())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read and check what `save` wrote.

        Raises `StoreError` naming the file that is missing, cut, changed or of another schema.
        """
        head = read_head(folder)
        for name, expected in head.files.items():
            # a record that somebody else wrote may not lead out of the folder
            if Path(name).name != name:
                raise StoreError(f"{folder / HEAD}: '{name}' must be a plain file name; save again")
            if not (folder / name).is_file():
                raise StoreError(
                    f"{folder / name} must be there, it is missing; copy the whole folder"
                )
            if (digest := sha256(folder / name)) != expected:
                raise StoreError(
                    f"{folder / name} must have sha256 {expected}, got {digest}; it is cut short "
                    "or has been changed, copy it again"
                )
        # what is not listed would be read with no hash to check it against
        for needed in (_TRAINED_ON, head.tensors_file):
            if needed is not None and needed not in head.files:
                raise StoreError(
                    f"{folder / HEAD} must list the file '{needed}'; save the edit again"
                )
        stored = Stored(
            kind=head.kind,
            values=head.values,
            documents={
                name: read_json(folder / name)
                for name in head.files
                if name.endswith(".json")
                and not (name in (_TRAINED_ON, head.tensors_file) or is_tokenizer_file(name))
            },
            tensors={} if head.tensors_file is None else read_tensors(folder / head.tensors_file),
            tensors_file=head.tensors_file,
        )
        if stored.content != head.content:
            stored = replace(stored, documents=cls.documents_of_ours(stored.documents))
        # the hashes of files do not cover the values, which stand in edit.json itself
        if stored.content != head.content:
            raise StoreError(
                f"{folder / HEAD} must hold the content that its hash was computed from, it has "
                "been changed; save the edit again"
            )
        edit = cls._from_stored(head.info, stored, folder)
        # read as it is there: people put the tokenizer into the folder afterwards
        return replace(edit, tokenizer=read_tokenizer_files(folder))


def described(model: LanguageModel, edit: Edit) -> LanguageModel:
    """The model with the identity and record it has while the edit is attached; same weights."""
    info, content = edit.info, edit.content
    identity = f"{model.identity}+{info.method}:{content[:8]}"
    record: dict[str, JSON] = {
        "method": info.method,
        "version": info.version,
        "options": dict(info.options),
        "seed": info.seed,
        "base": info.base,
        "origin": info.origin,
        "content": content,
    }
    if is_requantized(model, info):
        record["quantize_when_learnt"] = info.base_quantize or "none"
    if info.aliases:
        record["aliases"] = dict(info.aliases)
    if "item_info" in info.report:  # see `Mitigation.item_info`
        record["item_info"] = info.report["item_info"]
    before = model.source.get("edits")
    edits: list[JSON] = [*before, record] if isinstance(before, list) else [record]
    return replace(
        model,
        identity=identity,
        source={**model.source, "name": identity, "edits": edits},
        trained_on=model.trained_on | info.trained_on,
    )


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
