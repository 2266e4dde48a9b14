"""Checkpoints: a model's files, in a local folder or fetched from the Hub. Safetensors only."""

import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from equipoise.errors import ModelError, StoreError
from equipoise.files.atomic import sha256, write_file
from equipoise.files.json_records import read_object

#: The files of a model, an adapter or an edit: no others are fetched or hashed.
FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "adapter_config.json",
    "adapter_model.safetensors",
    "edit.json",
    "trained_on.json",
    "weights.safetensors",
)
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_TOKENIZERS = ("tokenizer.json", "vocab.*", "*.model", "tokenizer*.tiktoken")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The files of a model in one folder, and their exact revision."""

    name: str  # as the user gave it, without the revision
    folder: Path
    revision: str  # the Hub's commit, or sha256 over a local folder's files
    from_hub: bool

    @property
    def identity(self) -> str:
        """Name and short revision: "gpt2@607a30d", "my-model@1f0c2ab7"."""
        local = f"{self.folder.resolve().name}@{self.revision[:8]}"
        return f"{self.name}@{self.revision[:7]}" if self.from_hub else local


def find_checkpoint(name: str, *, revision: str | None) -> Checkpoint:
    """A local folder of this name, else the Hub's repository `name` or `name@revision`.

    Honors `HF_HUB_OFFLINE`.
    Raises `ModelError` when there is no such folder, repository or revision, or it is not in the
    cache and the Hub cannot be reached.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise ModelError(
                f"a revision must be of a Hub id, got {revision!r} for the folder {name}; "
                "leave it out"
            )
        return Checkpoint(name=name, folder=folder, revision=content_sha256(folder), from_hub=False)
    # what looks like a path is never asked of the Hub
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"a model folder must exist, {name} is none; correct the path")
    repository, _, inside = name.partition("@")
    if inside and revision is not None and inside != revision:
        raise ModelError(
            f"a single revision must be given, got '{inside}' in the name and '{revision}' beside "
            "it; leave either out"
        )
    revision = inside or revision
    try:
        # A star also stands for slashes: `*.model` alone would fetch original/tokenizer.model.
        fetched = huggingface_hub.snapshot_download(
            repository, revision=revision, allow_patterns=list(FILES), ignore_patterns=["*/*"]
        )
    except HFValidationError as error:
        raise ModelError(f"a Hub id must be 'name' or 'owner/name', got '{name}'") from error
    except (HfHubHTTPError, OSError) as error:
        place = repository if revision is None else f"{repository}@{revision}"
        raise ModelError(
            f"'{place}' must be a folder here, in the Hub's local cache or on the Hub, got: "
            f"{str(error).partition('. ')[0]!r:.300}; correct the name or revision, log in if it "
            "is gated, or unset HF_HUB_OFFLINE"
        ) from error
    # the Hub's cache names the folder for the commit
    folder = Path(fetched)
    return Checkpoint(name=repository, folder=folder, revision=folder.name, from_hub=True)


def read_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """`config.json`. Raises `ModelError` when it is missing or cut."""
    try:
        return read_object(checkpoint.folder / "config.json")
    except StoreError as error:
        raise ModelError(f"{checkpoint.name} must have a config.json: {error}") from error


def check_files(checkpoint: Checkpoint) -> None:
    """Raise `ModelError` for a checkpoint without safetensors weights or without a tokenizer."""
    names = sorted(file.name for file in checkpoint.folder.iterdir())
    if not any(_matches(name, _WEIGHTS) for name in names):
        # From the Hub they are not fetched, so that it is not known whether there are any.
        pickled = next((name for name in names if _matches(name, _PICKLED)), "none")
        raise ModelError(
            f"{checkpoint.name} must have safetensors weights, got {pickled}; if it has pickled "
            "ones, which can run code, load it once with transformers where you trust it, save it "
            "with save_pretrained, and give that folder"
        )
    if not any(_matches(name, _TOKENIZERS) for name in names):
        raise ModelError(
            f"{checkpoint.name} must have a tokenizer (tokenizer.json), it has none; save the "
            "model's tokenizer into the same folder"
        )


def content_sha256(folder: Path) -> str:
    """sha256 (hex) over the names and bytes of the files that make up a model.

    Each file's own hash is cached under `EQUIPOISE_CACHE` by path, size and time of change.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and _matches(path.name, FILES):
            digest.update(f"{path.name} {_cached_sha256(path)}\n".encode())
    return digest.hexdigest()


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _cached_sha256(path: Path) -> str:
    about = path.stat()
    key = f"{path.resolve()} {about.st_size} {about.st_mtime_ns}"
    home = os.environ.get("EQUIPOISE_CACHE")
    cache = Path(home).expanduser() if home else Path.home() / ".cache" / "equipoise"
    entry = cache / "sha256" / hashlib.sha256(key.encode()).hexdigest()
    with suppress(OSError):
        cached = entry.read_text(encoding="ascii")
        if re.fullmatch("[0-9a-f]{64}", cached):
            return cached
    digest = sha256(path)
    with suppress(StoreError):  # a cache that cannot be written only costs time
        write_file(entry, digest, what="cached hash")
    return digest
