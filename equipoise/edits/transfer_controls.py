"""Controls of a transfer, and its strength: what BiasUnlearn's table of transfers lacks.

A LoRA update of a module's weights is W' - W = s B A, with the module's scaling s (alpha / rank)
and its two matrices. A random adapter has updates of the same rank and the same Frobenius norms in
random directions: what it does is what any change of that size does. A shuffled adapter has the
very same updates in other layers: what it does does not need them where they were learnt.
"""

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

import numpy as np
import peft
import torch
from peft.utils.other import get_pattern_key
from torch import Tensor

from equipoise.edits.adapter import PREFIX, AdapterEdit
from equipoise.errors import ModelError
from equipoise.records import JSON

#: none: the adapter itself; random: `norm_matched_random`; shuffled: `layers_shuffled`.
Control: TypeAlias = Literal["none", "random", "shuffled"]
CONTROLS: Mapping[str, Control] = {"none": "none", "random": "random", "shuffled": "shuffled"}

_HALVES: Mapping[str, str] = {
    ".lora_A.weight": ".lora_B.weight",
    ".lora_embedding_A": ".lora_embedding_B",
}
#: Variants whose update is not s B A.
_VARIANTS = ("use_dora", "use_qalora", "use_bdlora", "kasa_config", "alora_invocation_tokens")
_LARGEST = 1e6  # a scale
_EXACT = (torch.float32, torch.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Half:
    """One module's update."""

    a: str  # names of the tensors
    b: str
    first: Tensor  # A: [rank, in]
    second: Tensor  # B: [out, rank]
    scaling: float

    @property
    def product_norm(self) -> float:
        """Frobenius norm of B A, through the two matrices of rank by rank."""
        first, second = self.first.double(), self.second.double()
        square = float(((second.mT @ second) * (first @ first.mT)).sum())
        return math.sqrt(max(square, 0.0))


def update_norms(edit: AdapterEdit) -> dict[str, float]:
    """Frobenius norm of what the adapter adds to each module's weights, by the module's name.

    Raises `ModelError` for an adapter that is not plain LoRA.
    """
    return {
        name: abs(one.scaling) * one.product_norm for name, one in sorted(_updates(edit).items())
    }


def update_norm(edit: AdapterEdit) -> float:
    """Frobenius norm of all that the adapter adds; 0: nothing; nan: it is not plain LoRA."""
    if _oddity(edit):
        return math.nan
    return math.sqrt(math.fsum(one * one for one in update_norms(edit).values()))


def varied(edit: AdapterEdit, *, control: Control, scale: float, seed: int) -> AdapterEdit:
    """The adapter, or a control in its place, at a scale; `seed` settles the control alone.

    Raises `ModelError` as `norm_matched_random`, `layers_shuffled` and `scaled` do.
    """
    makers: Mapping[str, Callable[[AdapterEdit], AdapterEdit]] = {
        "none": lambda one: one,
        "random": lambda one: norm_matched_random(one, seed=seed),
        "shuffled": lambda one: layers_shuffled(one, seed=seed),
    }
    made = scaled(makers[control](edit), scale) if scale != 1.0 else makers[control](edit)
    return replace(made, info=replace(made.info, seed=seed))


def norm_matched_random(edit: AdapterEdit, *, seed: int) -> AdapterEdit:
    """Random matrices in place of the learnt ones, each module's update of the same norm.

    Entries are drawn from a normal distribution, for each module from the seed and its name; rank
    and norm of B A are those of the adapter, its singular values are not. Tensors of half
    precision become float32, in which the norms hold to 1e-5.
    Raises `ModelError` for an adapter that is not plain LoRA.
    """
    made: dict[str, Tensor] = {}
    for name, one in _updates(edit).items():
        generator = torch.Generator().manual_seed(_seed(seed, name))
        first = torch.randn(one.first.shape, generator=generator, dtype=torch.float64)
        second = torch.randn(one.second.shape, generator=generator, dtype=torch.float64)
        drawn = replace(one, first=first, second=second).product_norm
        made[one.a] = _kept(first, one.first)
        made[one.b] = _kept(second * (one.product_norm / drawn), one.second)
    return _marked(edit, tensors=made, options={"control": "random", "control_seed": seed})


def layers_shuffled(edit: AdapterEdit, *, seed: int) -> AdapterEdit:
    """The adapter's own tensors, each layer's in another layer; no layer keeps its own.

    A layer is all that stands under one number in the modules' names ("…layers.3…"), and moves as
    a whole to a layer with the same modules, shapes and scaling. A layer that has no like stays.
    The report's `layers_from` says whose update each layer has got.
    Raises `ModelError` when no two layers are alike, and for an adapter that is not plain LoRA.
    """
    updates = _updates(edit)
    layers: dict[tuple[str, int], dict[str, str]] = {}  # modules by the rest of their names
    for name in updates:
        if found := re.match(r"(.*?\.)(\d+)(\..*)", name):
            layers.setdefault((found[1], int(found[2])), {})[found[3]] = name
    alike: dict[str, list[tuple[str, int]]] = {}
    for layer, modules in sorted(layers.items()):
        alike.setdefault(_signature(layer[0], modules, updates), []).append(layer)
    groups = [group for group in alike.values() if len(group) > 1]
    if not groups:
        raise ModelError(
            f"an adapter must have two layers of equal shapes to be shuffled, this one has "
            f"{len(layers)} layers, no two alike; take the random control"
        )
    generator = np.random.default_rng(seed)
    origin = {
        target: group[place]
        for group in groups
        for target, place in zip(group, _deranged(len(group), generator), strict=True)
    }
    tensors = dict(edit.tensors)
    for target, source in origin.items():
        for tail, name in layers[target].items():
            given = updates[layers[source][tail]]
            tensors[updates[name].a], tensors[updates[name].b] = given.first, given.second
    several = len({head for head, _ in origin}) > 1
    moved: dict[str, JSON] = {
        f"{head}{number}" if several else str(number): source
        for (head, number), (_, source) in sorted(origin.items())
    }
    options: dict[str, JSON] = {"control": "shuffled", "control_seed": seed}
    return _marked(edit, tensors=tensors, options=options, report={"layers_from": moved})


def scaled(edit: AdapterEdit, scale: float) -> AdapterEdit:
    """The adapter with every update multiplied; 0 adds nothing, 1 is the adapter as it is.

    The tensors stay, alpha in the configuration changes, so that half precision loses nothing.
    Raises `ModelError` for a scale below 0 or over 1e6, where sums leave float32, and for an
    adapter that is not plain LoRA.
    """
    if not 0.0 <= scale <= _LARGEST:
        raise ModelError(f"a scale must be from 0 to {_LARGEST:g}, got {scale}; correct it")
    _refuse_odd(edit)
    pattern = edit.config.get("alpha_pattern")
    config = {**edit.config, "lora_alpha": _whole(_alpha(edit.config, "") * scale)}
    if isinstance(pattern, dict):
        config["alpha_pattern"] = {
            key: _whole(_number(value) * scale) for key, value in pattern.items()
        }
    before = _number(edit.info.options.get("scale", 1.0))
    norm = edit.info.report.get("update_norm")
    report: dict[str, JSON] = {} if norm is None else {"update_norm": _number(norm) * scale}
    made = _marked(edit, options={"scale": before * scale}, report=report)
    return replace(made, config=config)


# --- plain LoRA -------------------------------------------------------------------------------


def _updates(edit: AdapterEdit) -> dict[str, _Half]:
    """Every module's update, by the name of the module in the adapter's file."""
    _refuse_odd(edit)
    found = {}
    for a in edit.tensors:
        for ending, other in _HALVES.items():
            if a.endswith(ending):
                module = a.removesuffix(ending)
                first, second = edit.tensors[a], edit.tensors[module + other]
                alpha = _alpha(edit.config, module.removeprefix(PREFIX))
                rank = int(first.shape[0])
                root = math.sqrt(rank) if edit.config.get("use_rslora") else rank
                found[module] = _Half(
                    a=a, b=module + other, first=first, second=second, scaling=alpha / root
                )
    return found


def _refuse_odd(edit: AdapterEdit) -> None:
    if oddity := _oddity(edit):
        raise ModelError(
            f"an adapter must be plain LoRA to be scaled or to have a control, this one has "
            f"{oddity}; transfer it as it is"
        )


def _oddity(edit: AdapterEdit) -> str:
    """What makes the adapter something other than plain LoRA; "": nothing."""
    kind = str(edit.config.get("peft_type"))
    if kind != "LORA":
        return f"the type {kind}"
    for option in _VARIANTS:
        if edit.config.get(option):
            return f"{option}: {edit.config[option]!r}"
    endings = (*_HALVES, *_HALVES.values())
    for name, one in edit.tensors.items():
        if one.ndim != 2 or not name.endswith(endings):
            return f"the tensor '{name}' of shape {tuple(one.shape)}"
        for pair in _HALVES.items():
            for here, there in (pair, pair[::-1]):
                if name.endswith(here) and name.removesuffix(here) + there not in edit.tensors:
                    return f"'{name}' without its other half"
    return ""


def _alpha(config: Mapping[str, JSON], module: str) -> float:
    """The alpha of one module, as PEFT reads it; of no module: the one for all."""
    pattern = config.get("alpha_pattern")
    key = get_pattern_key(list(pattern), module) if isinstance(pattern, dict) and module else ""
    if isinstance(pattern, dict) and key in pattern:
        return _number(pattern[key])
    return _number(config.get("lora_alpha", peft.LoraConfig().lora_alpha))


def _number(value: JSON) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ModelError(f"an alpha must be a number, got {value!r}; mend adapter_config.json")
    return float(value)


def _whole(value: float) -> int | float:
    """An integer where it is one: PEFT writes alphas so."""
    return int(value) if value.is_integer() else value


def _kept(made: Tensor, old: Tensor) -> Tensor:
    return made.to(old.dtype if old.dtype in _EXACT else torch.float32)


def _seed(seed: int, name: str) -> int:
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # torch takes 63 bits


def _signature(head: str, modules: Mapping[str, str], updates: Mapping[str, _Half]) -> str:
    """What two layers must have in common to change places."""
    shapes = []
    for tail, name in sorted(modules.items()):
        one = updates[name]
        shapes.append((tail, tuple(one.first.shape), tuple(one.second.shape), one.scaling))
    return repr((head, shapes))


def _deranged(count: int, generator: np.random.Generator) -> list[int]:
    """A permutation that leaves nothing in its place, each of them equally likely."""
    while True:
        drawn = generator.permutation(count)
        if not np.any(drawn == np.arange(count)):
            return cast(list[int], drawn.tolist())


def _marked(
    edit: AdapterEdit,
    *,
    tensors: Mapping[str, Tensor] | None = None,
    options: Mapping[str, JSON],
    report: Mapping[str, JSON] | None = None,
) -> AdapterEdit:
    """The edit with other tensors, and a note of that where it comes from."""
    info = replace(
        edit.info,
        options={**edit.info.options, **options},
        report={**edit.info.report, **(report or {})},
    )
    return replace(edit, info=info, tensors=edit.tensors if tensors is None else tensors)
