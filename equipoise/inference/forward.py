"""One forward pass over a batch of rows, with outputs at chosen places only."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from equipoise.inference.prefix_sharing import PackedRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How rows are given to a module: what `probe_layout` found that it computes exactly."""

    pack: bool  # rows may be trees: a 4-D mask and position ids are obeyed
    gather: bool  # the output layer may be given a few positions instead of all
    two_sided: bool = False  # a masked model: padding must be hidden from the tokens
    pad: int = 0


def logits_at(
    module: PreTrainedModel,
    rows: Sequence[PackedRow],
    places: Int[Tensor, " place"],
    layout: Layout,
) -> Float[Tensor, "place vocabulary"]:
    """Logits at places of the padded batch: row index times longest row, plus position in the row.

    In the module's own number format; whatever the module does to its logits (soft caps, scales)
    is done, because its own code runs.
    """
    if not layout.gather:
        logits: Tensor = module(**_model_inputs(module, rows, layout)).logits
        return logits.flatten(0, 1)[places]

    def gather(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden = inputs[0]  # [row, position, feature], from here on [1, place, feature]
        return (hidden.flatten(0, 1)[places.to(hidden.device)][None], *inputs[1:])

    with _before_output_layer(module, gather):
        gathered: Tensor = module(**_model_inputs(module, rows, layout)).logits
    return gathered[0]


def hidden_at(
    module: PreTrainedModel,
    rows: Sequence[PackedRow],
    places: Int[Tensor, " place"],
    layout: Layout,
) -> Float[Tensor, "place width"]:
    """What the output layer reads at places of the padded batch, with its gradients.

    The output layer itself is run on one position only, so that no logits of all places are made.
    Raises `TypeError` when the module does not say which layer that is (`has_output_layer`).
    """
    states: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden = inputs[0]
        states.append(hidden.flatten(0, 1)[places.to(hidden.device)])
        return (hidden[:1, :1], *inputs[1:])

    with _before_output_layer(module, keep):
        module(**_model_inputs(module, rows, layout))
    return states[0]


def has_output_layer(module: PreTrainedModel) -> bool:
    """Whether the module says which of its layers makes the logits."""
    return isinstance(module.get_output_embeddings(), nn.Module)


@contextmanager
def _before_output_layer(
    module: PreTrainedModel, hook: Callable[..., tuple[Tensor, ...]]
) -> Iterator[None]:
    """The hook changes what the output layer is given inside; it is gone afterwards."""
    layer = module.get_output_embeddings()
    if not isinstance(layer, nn.Module):
        raise TypeError(f"{type(module).__name__} has no output layer, got {layer!r}")
    handle = layer.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def pad(
    rows: Sequence[Sequence[int]], fill: int | Sequence[int], *, left: bool = False
) -> tuple[Int[Tensor, "row token"], Bool[Tensor, "row token"]]:
    """Rows filled up to the longest, on the right or on the left, and which tokens are real.

    `fill`: one value for all rows, or one per row.
    """
    lengths = torch.tensor(list(map(len, rows)))
    width = int(lengths.max())
    fills = [fill] * len(rows) if isinstance(fill, int) else fill
    gaps = [[value] * (width - len(row)) for row, value in zip(rows, fills, strict=True)]
    pairs = zip(gaps, rows, strict=True) if left else zip(rows, gaps, strict=True)
    tokens = torch.tensor([[*first, *second] for first, second in pairs], dtype=torch.long)
    columns = torch.arange(width)[None]
    real = columns >= width - lengths[:, None] if left else columns < lengths[:, None]
    return tokens, real


def _model_inputs(
    module: PreTrainedModel, rows: Sequence[PackedRow], layout: Layout
) -> dict[str, Any]:
    device = module.device
    ids = [row.ids for row in rows]
    if layout.two_sided:
        tokens, real = pad(ids, layout.pad)
        return {"input_ids": tokens.to(device), "attention_mask": real.long().to(device)}
    # padded on the right, where a causal model does not look, with tokens that the row has anyway:
    # a padding token may have no finite embedding, or none at all
    tokens, _ = pad(ids, [row[-1] for row in ids])
    inputs: dict[str, Any] = {"input_ids": tokens.to(device), "use_cache": False}
    if layout.pack:
        ends, _ = pad([row.ends for row in rows], tokens.shape[1])
        depths, _ = pad([row.depths for row in rows], 0)
        inputs["position_ids"] = depths.to(device)
        inputs["attention_mask"] = _ancestor_mask(ends.to(device), module)
    return inputs


def _ancestor_mask(ends: Int[Tensor, "row place"], module: PreTrainedModel) -> Tensor:
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
