"""Checkpoints: a model's files, in a local folder or fetched from the Hub. Safetensors only."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.file_download import repo_folder_name

from equipoise.edits.base import HEAD, read_head
from equipoise.edits.tokenizer import VOCABULARIES
from equipoise.errors import ModelError, StoreError
from equipoise.files.cache import cached_sha256
from equipoise.files.json_records import read_object
from equipoise.loading.gguf import Gguf, convert_gguf, find_gguf

#: The small files of a model, an adapter or an edit; `_name_weights` names their large files. No
#: others are fetched or hashed.
FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "chat_template*",
    "decision.json",
    "decision_template.jinja",
    "decision_config.json",
    "judge_config.json",
    "*.safetensors.index.json",
    "adapter_config.json",
    "edit.json",
    "trained_on.json",
    "merged.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
)
_CODE = "*.py"  # fetched, hashed and run only where it is trusted
_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_OF_EDITS = ("adapter_model.safetensors", "weights.safetensors")
_COMBINED = "combined"  # the kind of two edits
_PARTS = ("first", "second")  # folders of the edits that a combined edit is made of
_COMMIT = re.compile("[0-9a-f]{7,40}")
_FINGERPRINT = re.compile("[0-9a-f]{8}")  # as much of it as is printed
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The files of a model in one folder, and their exact revision."""

    name: str  # as the user gave it, without the revision
    folder: Path
    revision: str  # the Hub's commit, or sha256 over a local folder's files or of a GGUF
    from_hub: bool
    trusts_code: bool = False  # the user lets the Python code of the folder run
    gguf: Gguf | None = None  # what the folder was converted from

    @property
    def identity(self) -> str:
        """Name and short revision: "gpt2@607a30d", "my-model@1f0c2ab7"."""
        place = self.folder if self.gguf is None else self.gguf.path
        local = f"{place.resolve().name}@{self.revision[:8]}"
        return f"{self.name}@{self.revision[:7]}" if self.from_hub else local


def find_checkpoint(
    name: str, *, revision: str | None, trust_remote_code: bool = False
) -> Checkpoint:
    """A local folder or GGUF of this name, else the Hub's repository `name` or `name@revision`.

    A folder may be named with the beginning of its fingerprint, "my-model@1f0c2ab7", and a
    revision be the beginning of a commit in the cache, as `Checkpoint.identity` prints both. Where
    its code is trusted, that is fetched, too, and counts in the fingerprint.
    Honors `HF_HUB_OFFLINE`.
    Raises `ModelError` when there is no such folder, repository or revision, the folder has
    changed, or the Hub cannot be reached for what is not in the cache.
    """
    place, _, mark = name.rpartition("@")
    is_marked = _FINGERPRINT.fullmatch(mark) and Path(place).expanduser().exists()
    if place and is_marked and not Path(name).expanduser().exists():
        trusted = {"trust_remote_code": trust_remote_code}
        checkpoint = find_checkpoint(place, revision=revision, **trusted)
        if not checkpoint.revision.startswith(mark):
            if content_sha256(checkpoint.folder, code=not trust_remote_code).startswith(mark):
                raise ModelError(
                    f"'{mark}' must be the fingerprint of {place} as it is opened, got that of it "
                    + (
                        "without its code; leave --trust-remote-code out"
                        if trust_remote_code
                        else "with its code; give --trust-remote-code"
                    )
                )
            raise ModelError(
                f"{place} must have the fingerprint '{mark}', got '{checkpoint.revision[:8]}': its "
                "files have changed; leave the fingerprint out to take them as they are"
            )
        return checkpoint
    folder = Path(name).expanduser()
    gguf = find_gguf(folder)
    if folder.is_dir() or gguf is not None:
        if revision is not None:
            raise ModelError(
                f"a revision must be of a Hub id, got {revision!r} for the folder {name}; "
                "leave it out"
            )
        if gguf is not None:
            converted = convert_gguf(gguf)
            return Checkpoint(
                name=name, folder=converted, revision=gguf.sha256, from_hub=False, gguf=gguf
            )
        return Checkpoint(
            name=name,
            folder=folder,
            revision=content_sha256(folder, code=trust_remote_code),
            from_hub=False,
            trusts_code=trust_remote_code,
        )
    # what looks like a path is never asked of the Hub
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"a model folder must exist, {name} is none; correct the path")
    repository, _, inside = name.partition("@")
    if inside and revision is not None and inside != revision:
        raise ModelError(
            f"a single revision must be given, got '{inside}' in the name and '{revision}' beside "
            "it; leave either out"
        )
    return _find_on_hub(repository, inside or revision, trust_remote_code=trust_remote_code)


def _find_on_hub(repository: str, revision: str | None, *, trust_remote_code: bool) -> Checkpoint:
    name = repository if revision is None else f"{repository}@{revision}"
    revision = complete_commit(repository, revision)
    try:
        small = (*FILES, _CODE) if trust_remote_code else FILES
        folder = _fetch(repository, revision, (*small, _WHOLE, *_OF_EDITS))
        if (folder / HEAD).is_file() and read_head(folder).kind == _COMBINED:
            _fetch_parts(repository, folder.name)
        weights = _name_weights(folder)
        # By the commit, which names the cache's folder: a push between the two mixes nothing.
        if not all((folder / weight).is_file() for weight in weights):
            folder = _fetch(repository, folder.name, weights)
    except HFValidationError as error:
        raise ModelError(f"a Hub id must be 'name' or 'owner/name', got '{name}'") from error
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"'{name}' must be a folder here, in the Hub's local cache or on the Hub, got: "
            f"{str(error).partition('. ')[0]!r:.300}; correct the name or revision, log in if it "
            "is gated, or unset HF_HUB_OFFLINE"
        ) from error
    is_edit = any((folder / file).is_file() for file in ("adapter_config.json", "edit.json"))
    missing = [weight for weight in weights if not (folder / weight).is_file()]
    offline = huggingface_hub.constants.HF_HUB_OFFLINE
    if not is_edit and (missing or (offline and not weights)):
        raise ModelError(
            f"'{name}' must have all its weights in the Hub's local cache, it lacks "
            f"{', '.join(missing) or _WHOLE}; "
            + ("unset HF_HUB_OFFLINE to fetch the rest" if offline else "its index names others")
        )
    return Checkpoint(
        name=repository,
        folder=folder,
        revision=folder.name,
        from_hub=True,
        trusts_code=trust_remote_code,
    )


def _fetch(repository: str, revision: str | None, patterns: Sequence[str]) -> Path:
    # A star also stands for slashes: `*.model` alone would fetch original/tokenizer.model.
    fetched = huggingface_hub.snapshot_download(
        repository, revision=revision, allow_patterns=list(patterns), ignore_patterns=["*/*"]
    )
    return Path(fetched)


def _fetch_parts(repository: str, commit: str) -> None:
    """Fetch the files of the edits inside a combined edit, however deep they are."""
    names = (*FILES, *_OF_EDITS)
    patterns = [f"{part}/{name}" for part in _PARTS for name in names]
    patterns += [f"{part}/*/{name}" for part in _PARTS for name in names]
    huggingface_hub.snapshot_download(repository, revision=commit, allow_patterns=patterns)


def complete_commit(repository: str, revision: str | None) -> str | None:
    """The whole commit in the Hub's local cache that begins so; any other revision as it is."""
    if revision is None or not _COMMIT.fullmatch(revision):
        return revision
    folder = repo_folder_name(repo_id=repository, repo_type="model")
    place = Path(huggingface_hub.constants.HF_HUB_CACHE, folder, "snapshots")
    commits = [path.name for path in place.glob(f"{revision}*")]
    return commits[0] if len(commits) == 1 else revision


def _name_weights(folder: Path) -> list[str]:
    """The files of weights that transformers reads of a folder, there or not; none: no weights.

    They are those that the configuration or the index names, whatever they are called; of a
    damaged index the index itself, whose fault is named when it is read.
    """
    try:
        explicit = read_object(folder / "config.json").get("transformers_weights")
    except StoreError:
        explicit = None
    for name in (explicit, _WHOLE, _INDEX):
        if not isinstance(name, str) or not (name == explicit or (folder / name).is_file()):
            continue
        if not name.endswith(".index.json"):
            return [name]
        try:
            shards = read_object(folder / name).get("weight_map")
        except StoreError:
            shards = None
        return sorted(set(map(str, shards.values()))) if isinstance(shards, dict) else [name]
    return []


def read_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """`config.json`. Raises `ModelError` when it is missing or cut."""
    try:
        return read_object(checkpoint.folder / "config.json")
    except StoreError as error:
        raise ModelError(f"{checkpoint.name} must have a config.json: {error}") from error


def check_files(checkpoint: Checkpoint) -> None:
    """Raise `ModelError` for a checkpoint without safetensors weights or without a tokenizer."""
    names = sorted(file.name for file in checkpoint.folder.iterdir())
    if not _name_weights(checkpoint.folder):
        # From the Hub they are not fetched, so that it is not known whether there are any.
        pickled = next((name for name in names if _matches(name, _PICKLED)), "none")
        raise ModelError(
            f"{checkpoint.name} must have safetensors weights, got {pickled}; if it has pickled "
            "ones, which can run code, load it once with transformers where you trust it, save it "
            "with save_pretrained, and give that folder"
        )
    if not any(_matches(name, VOCABULARIES) for name in names):
        raise ModelError(
            f"{checkpoint.name} must have a tokenizer (tokenizer.json), it has none; save the "
            "model's tokenizer into the same folder"
        )


def content_sha256(folder: Path, *, code: bool = False) -> str:
    """sha256 (hex) over the names and bytes of the files that make up a model.

    `code`: its Python code is part of it, and of a sentence encoder what is in its parts' folders.
    Each file's own hash is cached under `EQUIPOISE_CACHE` by
    path, size and times of change.
    """
    weights = {*_name_weights(folder), *_OF_EDITS}
    small = (*FILES, _CODE) if code else FILES
    parts = sorted(folder.glob("*/*")) if (folder / "modules.json").is_file() else []
    return _hash_files(
        path
        for path in (*sorted(folder.iterdir()), *parts)
        if path.is_file() and (path.name in weights or _matches(path.name, small))
    )


def code_sha256(checkpoint: Checkpoint) -> str:
    """sha256 (hex) over the names and bytes of the folder's Python files."""
    return _hash_files(sorted(checkpoint.folder.glob(_CODE)))


def named_code(checkpoint: Checkpoint) -> list[str]:
    """The classes in code of its own that a checkpoint names: "modeling_mine.MineForCausalLM"."""
    named: set[str] = set()
    for file in ("config.json", "tokenizer_config.json"):
        with suppress(StoreError):  # a missing or damaged file is named where it is read
            classes = read_object(checkpoint.folder / file).get("auto_map")
            for name in classes.values() if isinstance(classes, dict) else [classes]:
                # of a tokenizer the slow class and the fast, either may be null
                named |= {
                    str(each) for each in (name if isinstance(name, list) else [name]) if each
                }
    return sorted(named)


def check_code(checkpoint: Checkpoint) -> None:
    """Raise `ModelError` for trusted code that is not in the checkpoint's own files."""
    for name in named_code(checkpoint) if checkpoint.trusts_code else ():
        repository, separator, local = name.rpartition("--")
        if separator:
            raise ModelError(
                f"{checkpoint.name} must bring its code itself, its auto_map names '{name}', which "
                f"may change in {repository}; copy that file into a folder of the model and "
                f"write '{local}' in its auto_map"
            )


def _hash_files(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name} {cached_sha256(path)}\n".encode())
    return digest.hexdigest()


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
