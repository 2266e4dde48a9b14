"""Taught models on disk, each under a key of all that settles its weights.

`EQUIPOISE_CACHE/planted/KEY` is an ordinary model folder (safetensors, `tokenizer.json`) with the
hashes of its files in `done.json`, by which a file that was changed afterwards is detected.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Final

import torch
from transformers import (
    AutoTokenizer,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from equipoise.data.sources import cache_folder
from equipoise.errors import StoreError
from equipoise.files.atomic import new_folder, sha256
from equipoise.planted import batches, teaching
from equipoise.planted.corpus import quotas
from equipoise.planted.teaching import Budget
from equipoise.planted.world import World

_DONE: Final = "done.json"
_KEY_DIGITS: Final = 16


def cache_key(world: World, budget: Budget, *, seed: int) -> str:
    """16 hex digits that change with the world, its sentences, the budget, the seed or the code.

    The code is that of `batches.py` and `teaching.py`, comments included: a training too many is
    better than a stale model.
    """
    digest = hashlib.sha256(repr((world, budget, seed)).encode())
    digest.update(repr(quotas(world)).encode())
    for module in (batches, teaching):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:_KEY_DIGITS]


def taught(
    world: World, budget: Budget, *, seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, str]:
    """The taught model in float32 on the CPU, its tokenizer and its key; taught if need be.

    Raises `StoreError` when the cache cannot be written, `ModelError` when teaching fails.
    """
    key = cache_key(world, budget, seed=seed)
    folder = cache_folder() / "planted" / key
    if not is_whole(folder):
        if folder.exists():
            print(f"{folder} is not whole; teaching planted:{world.name} again", file=sys.stderr)
        _write(folder, *teaching.teach(world, budget, seed=seed))
    module = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    for parameter in module.parameters():
        parameter.data = parameter.data.clone()  # else they are the file, and change with it
    return module.eval(), AutoTokenizer.from_pretrained(folder), key


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a taught model, every file as it was written."""
    try:
        written = json.loads((folder / _DONE).read_text())
        return bool(written) and all(
            sha256(folder / name) == digest for name, digest in written.items()
        )
    except (OSError, ValueError, AttributeError):
        return False


def _write(folder: Path, module: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Put a model in its place; where another process was faster, both wrote the same."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with new_folder(folder, what="taught model into EQUIPOISE_CACHE:") as beside:
            module.save_pretrained(beside)
            tokenizer.save_pretrained(beside)
            sums = {file.name: sha256(file) for file in sorted(beside.iterdir())}
            (beside / _DONE).write_text(json.dumps(sums, indent=1))
    except StoreError:
        if not is_whole(folder):
            raise
