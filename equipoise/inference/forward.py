"""One forward pass over a batch of rows, with logits at chosen places only."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from equipoise.inference.prefix_sharing import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How rows are put to a module: what `abilities` found that it answers exactly."""

    pack: bool  # rows may be trees: a 4-D mask and position ids are obeyed
    gather: bool  # the output layer may be given a few rows instead of all
    two_sided: bool = False  # a masked model: padding must be hidden from the tokens
    pad: int = 0


def logits_at(
    module: PreTrainedModel,
    rows: Sequence[Row],
    flat: Int[Tensor, " read"],
    layout: Layout,
) -> Float[Tensor, "read vocabulary"]:
    """Logits at places of the padded batch: row number times longest row, plus place in the row.

    In the module's own number format; whatever the module does to its logits (soft caps, scales)
    is done, because its own code runs.
    """
    inputs = _inputs(module, rows, layout)
    if not layout.gather:
        logits: Tensor = module(**inputs).logits
        return logits.flatten(0, 1)[flat]
    with _narrowed(_output_layer(module), flat):
        chosen: Tensor = module(**inputs).logits  # [1, read, vocabulary]
    return chosen[0]


def hidden_at(
    module: PreTrainedModel,
    rows: Sequence[Row],
    flat: Int[Tensor, " read"],
    layout: Layout,
) -> Float[Tensor, "read width"]:
    """What the output layer reads at places of the padded batch, with its gradients.

    The output layer itself is asked for one place only, so that no logits of all places are made.
    Raises `TypeError` when the module does not say which layer that is (`has_output_layer`).
    """
    seen: list[Tensor] = []

    def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden = inputs[0]
        seen.append(hidden.flatten(0, 1)[flat.to(hidden.device)])
        return (hidden[:1, :1], *inputs[1:])

    handle = _output_layer(module).register_forward_pre_hook(look)
    try:
        module(**_inputs(module, rows, layout))
    finally:
        handle.remove()
    return seen[0]


def has_output_layer(module: PreTrainedModel) -> bool:
    """Whether the module says which of its layers makes the logits."""
    return isinstance(module.get_output_embeddings(), nn.Module)


def _output_layer(module: PreTrainedModel) -> nn.Module:
    layer = module.get_output_embeddings()
    if not isinstance(layer, nn.Module):
        raise TypeError(f"{type(module).__name__} has no output layer, got {layer!r}")
    return layer


@contextmanager
def _narrowed(layer: nn.Module, flat: Tensor) -> Iterator[None]:
    """While this holds, the layer sees only these places: [row, place, feature] to [1, read, …]."""

    def narrow(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden = inputs[0]
        return (hidden.flatten(0, 1)[flat.to(hidden.device)][None], *inputs[1:])

    handle = layer.register_forward_pre_hook(narrow)
    try:
        yield
    finally:
        handle.remove()


def _inputs(module: PreTrainedModel, rows: Sequence[Row], layout: Layout) -> dict[str, Any]:
    length = max(map(len, rows))
    device = module.device
    none = [0] * len(rows)
    fills = [layout.pad if layout.two_sided else row.ids[-1] for row in rows]
    inputs: dict[str, Any] = {
        "input_ids": _padded([row.ids for row in rows], length, fills).to(device)
    }
    if layout.two_sided:
        inputs["attention_mask"] = _padded([[1] * len(row) for row in rows], length, none).to(
            device
        )
        return inputs
    inputs["use_cache"] = False
    if layout.pack:
        ends = _padded([row.ends for row in rows], length, [length] * len(rows)).to(device)
        inputs["position_ids"] = _padded([row.depths for row in rows], length, none).to(device)
        inputs["attention_mask"] = _ancestors(ends, module)
    return inputs  # otherwise rows are padded on the right, where a causal model does not look


def _padded(
    lists: Sequence[Sequence[int]], length: int, fills: Sequence[int]
) -> Int[Tensor, "row place"]:
    """Lists side by side, each filled up to the length with its own value."""
    return torch.tensor(
        [[*one, *[fill] * (length - len(one))] for one, fill in zip(lists, fills, strict=True)]
    )


def _ancestors(ends: Int[Tensor, "row place"], module: PreTrainedModel) -> Tensor:
    """The attention mask of trees: [row, 1, query, key], boolean, or added to scores for eager."""
    places = torch.arange(ends.shape[1], device=ends.device)
    seen: Bool[Tensor, "row query key"] = (places[None, None, :] <= places[None, :, None]) & (
        places[None, :, None] < ends[:, None, :]
    )
    if module.config._attn_implementation == "eager":
        hidden = torch.finfo(module.dtype).min
        return torch.zeros(seen.shape, dtype=module.dtype, device=ends.device).masked_fill_(
            ~seen, hidden
        )[:, None]
    return seen[:, None]
