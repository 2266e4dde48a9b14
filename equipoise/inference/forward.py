"""A forward pass over a batch of rows, with outputs at chosen places only.

How a module may be given its rows is probed on a few tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from equipoise.inference.prefix_sharing import PackedRow, single, tree
from equipoise.models.loaded_model import attention_window


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How rows are given to a module: what it computes exactly, as `probe_layout` tells."""

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

    The output layer itself is run on a single position, so that no logits of all places are made.
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

    `fill`: a value for all rows, or a value per row.
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


#: Families whose attention obeys a 4-D mask and position ids at every length (tested).
_PACKABLE = frozenset(
    [
        "gpt2",
        "llama",
        "mistral",
        "qwen2",
        "qwen3",
        "gemma",
        "gemma2",
        "gemma3_text",
        "gpt_neox",
        "opt",
    ]
)
_TOLERANCE = {torch.float64: 1e-3, torch.float32: 1e-3}  # of the spread of the logits
_HALF_TOLERANCE = 0.2  # bfloat16 rounds: only gross differences show

_TEXTS = ((5, 6, 7, 8, 9, 3), (5, 6, 7, 2, 4), (1, 9, 8, 4))  # two share a prefix
_ALONE = single(_TEXTS, range(len(_TEXTS)))
_TOGETHER = [tree(_TEXTS, range(len(_TEXTS)))]

_known: dict[tuple[str, ...], Layout] = {}


def probe_layout(module: PreTrainedModel) -> Layout:
    """How rows may be given to this causal module; tried once for each kind of module."""
    key = (
        type(module).__qualname__,
        str(module.dtype),
        str(module.device),
        str(module.config._attn_implementation),
        module.config.to_json_string(),
    )
    if key in _known:
        return _known[key]
    layout = Layout(pack=False, gather=False)
    with torch.inference_mode():
        expected = _logits(module, _ALONE, layout)
        if not bool(torch.isfinite(expected).all()):
            return layout  # broken weights say nothing of their kind
        if has_output_layer(module):
            gathered = replace(layout, gather=True)
            if _is_close(_logits(module, _ALONE, gathered), expected):
                layout = gathered
        window = attention_window(module)
        fits = window is None or window >= max(map(len, _TEXTS))
        takes_masks = module.config._attn_implementation in ("sdpa", "eager")
        if module.config.model_type in _PACKABLE and fits and takes_masks:
            packed = replace(layout, pack=True)
            if _is_close(_logits(module, _TOGETHER, packed), expected):
                layout = packed
    _known[key] = layout
    return layout


def _logits(module: PreTrainedModel, rows: Sequence[PackedRow], layout: Layout) -> Tensor:
    """Logits of every token of `_TEXTS`, text after text."""
    length = max(map(len, rows))
    places: dict[int, list[int]] = {}
    for index, row in enumerate(rows):
        places |= {text: [index * length + p for p in path] for text, path in row.paths.items()}
    flat = torch.tensor([place for text in sorted(places) for place in places[text]])
    return logits_at(module, rows, flat.to(module.device), layout)


def _is_close(logits: Tensor, expected: Tensor) -> bool:
    if logits.shape != expected.shape:
        return False
    tolerance = _TOLERANCE.get(expected.dtype, _HALF_TOLERANCE)
    return bool((logits - expected).abs().max() <= tolerance * expected.float().std())
