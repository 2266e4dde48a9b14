"""Checkpoints: a model's files, in a local folder or fetched from the Hub, checked before use.

Safetensors only. A file that is missing, pickled or cut short is reported here, by name, before
transformers could fill the gap with random weights.
"""

import hashlib
import json
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
from safetensors import SafetensorError, safe_open

from equipoise.errors import ModelError, StoreError
from equipoise.files.atomic import sha256, write_file

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
_TOKENIZERS = ("tokenizer.json", "vocab.*", "*.model", "tokenizer*.tiktoken")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")
_CONVERT = (
    "load it once with transformers where you trust it, save it with save_pretrained, and give "
    "that folder"
)


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
        if self.from_hub:
            return f"{self.name}@{self.revision[:7]}"
        return f"{self.folder.resolve().name}@{self.revision[:8]}"


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
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"a model folder must exist, {name} is none; correct the path")
    repository, _, inside = name.partition("@")
    if inside and revision is not None and inside != revision:
        raise ModelError(
            f"a single revision must be given, got '{inside}' in the name and '{revision}' beside "
            "it; leave either out"
        )
    return _fetch(repository, inside or revision)


def read_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """`config.json`. Raises `ModelError` when it is missing or cut."""
    path = checkpoint.folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{checkpoint.name} must have a config.json, it has none; give a folder that "
            "save_pretrained wrote"
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} must be JSON, got: {error}; it may be cut short, copy it again"
        ) from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} must be a mapping, got {type(config).__name__}; copy it again")
    return config


def check_files(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint whose weights or tokenizer are missing, pickled or cut short.

    Raises `ModelError` naming the file and what to do.
    """
    folder = checkpoint.folder
    names = sorted(file.name for file in folder.iterdir())
    shards = _list_shards(folder)
    if not shards:
        pickled = [name for name in names if _matches(name, _PICKLED)]
        if pickled:
            raise ModelError(
                f"{checkpoint.name} must have safetensors weights, it has pickled ones only "
                f"({pickled[0]}), which can run code; {_CONVERT}"
            )
        where = "in its repository" if checkpoint.from_hub else "in the folder"
        raise ModelError(
            f"{checkpoint.name} must have safetensors weights, there are none {where}; if it has "
            f"pickled ones, {_CONVERT}"
        )
    for shard in shards:
        _check_shard(folder / shard)
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


def _fetch(repository: str, revision: str | None) -> Checkpoint:
    name = repository if revision is None else f"{repository}@{revision}"
    try:
        folder = huggingface_hub.snapshot_download(
            repository, revision=revision, allow_patterns=list(FILES), ignore_patterns=["*/*"]
        )
    except HFValidationError as error:
        raise ModelError(f"a Hub id must be 'name' or 'owner/name', got '{name}'") from error
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"'{name}' must be a folder here, in the Hub's local cache or on the Hub, got: "
            f"{str(error).partition('. ')[0]!r:.300}; correct the name or revision, log in if it "
            "is gated, or unset HF_HUB_OFFLINE"
        ) from error
    return Checkpoint(
        name=repository, folder=Path(folder), revision=Path(folder).name, from_hub=True
    )


def _list_shards(folder: Path) -> list[str]:
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        return ["model.safetensors"]
    if not index.is_file():
        return []
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{index} must map weights to files, got: {error!r}; copy it") from error


def _check_shard(path: Path) -> None:
    try:
        with safe_open(path, framework="pt") as tensors:
            count = len(tensors.keys())
    except FileNotFoundError as error:
        raise ModelError(f"{path} must be there, it is missing; copy the whole folder") from error
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} must be a whole safetensors file, got: {error} ({path.stat().st_size} bytes); "
            "it is cut short, copy it again"
        ) from error
    if not count:
        raise ModelError(f"{path} must hold weights, it holds {count}; copy it again")


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
