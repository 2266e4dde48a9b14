"""A planted model: small, Llama-shaped, taught a world, and so biased by a known amount.

Taught in about a minute on two cores, deterministic by seed on a machine, and cached:
`EQUIPOISE_CACHE/planted/KEY` is an ordinary model folder under a key of all that settles its
weights, with the hashes of its files in `done.json`, by which a changed file is detected.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Final

import torch
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from equipoise.errors import RecipeError, StoreError, nearest
from equipoise.files.atomic import new_folder, sha256
from equipoise.files.cache import cache_folder
from equipoise.inference.language_model import LanguageModel
from equipoise.planted import batches, teaching
from equipoise.planted.corpus import quotas
from equipoise.planted.teaching import Budget
from equipoise.planted.world import World, find_world

_DONE: Final = "done.json"
_KEY_DIGITS: Final = 16
_DTYPES: Final = {
    "auto": torch.float32,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def load_planted(
    name: str, *, device: str = "auto", dtype: str = "float32", budget: Budget | None = None
) -> LanguageModel:
    """The model of a world, by the world's name, e.g. "default" or "planted:strength=0.5,seed=1".

    Taught at first use, with progress on standard error, then read from the cache
    (`EQUIPOISE_CACHE`). `device` "auto" is the accelerator if there is any. `budget` is for tests:
    with a smaller budget the model need not say what the world says.
    Raises `RecipeError` for a name, device or dtype that is none.
    """
    world = find_world(name)
    if dtype not in _DTYPES:
        raise RecipeError(f"no dtype '{dtype}'; {nearest(dtype, _DTYPES)}")
    place = _device(device)
    module, tokenizer, key = taught(world, budget or Budget(), seed=world.seed)
    module.to(device=place, dtype=_DTYPES[dtype])
    return LanguageModel(
        module=module,
        tokenizer=tokenizer,
        identity=f"planted:{world.name}@{key[:8]}",
        source={
            "name": f"planted:{world.name}",
            "revision": key,
            "world_strength": world.strength,
            "world_seed": world.seed,
        },
    )


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


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError:
        raise RecipeError(f"no device '{name}'; use auto, cpu or cuda") from None
