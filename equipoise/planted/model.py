"""A planted model: small, Llama-shaped, taught a world, and so biased by a known amount.

Taught in about a minute on two cores, deterministic by seed on one machine, and cached.
"""

from typing import Final, Literal

import torch

from equipoise.errors import RecipeError, nearest
from equipoise.inference.language_model import LanguageModel
from equipoise.planted.cache import taught
from equipoise.planted.teaching import Budget
from equipoise.planted.world import World, find_world

Dtype = Literal["float32", "bfloat16", "float16", "auto"]

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
    (`EQUIPOISE_CACHE`). `device` "auto" is the accelerator if there is one. `budget` is for tests:
    with a smaller one the model need not say what the world says.
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
        source={"name": f"planted:{world.name}", "revision": key, **_truth(world)},
    )


def _truth(world: World) -> dict[str, float]:
    return {"world_strength": world.strength, "world_seed": world.seed}


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError:
        raise RecipeError(f"no device '{name}'; use auto, cpu or cuda") from None
