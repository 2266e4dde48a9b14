"""Forward passes with outputs at chosen places only.

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

from equipoise.errors import ModelError
from equipoise.inference.prefix_sharing import PackedRow, single, tree
from equipoise.models.kernels import evaluating, fast_matmul, fused_gelu


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How rows are given to a module: what it computes exactly, as `probe_layout` tells."""

    pack: bool  # rows may be trees: a 4-D mask and position ids are obeyed
    gather: bool  # the output layer may be given a few positions instead of all
    two_sided: bool = False  # a masked model: padding must be hidden from the tokens
    pad: int = 0
    pads: bool = True  # a text means the same beside a longer one, filled up to its length
    window: int | None = None  # tokens that the most limited block looks back; None: all
    rope_change: int | None = None  # texts longer than this turn all rows' positions differently

    def packs(self, length: int) -> bool:
        """Whether a text may share a row; beyond the window the row's other texts would count."""
        limits = [limit for limit in (self.window, self.rope_change) if limit is not None]
        return self.pack and length <= min(limits, default=length)

    def company(self, length: int) -> int:
        """Rows of different company may not share a batch."""
        if not self.pads:
            return length
        return int(self.rope_change is not None and length > self.rope_change)


@contextmanager
def at_full_speed(module: nn.Module) -> Iterator[None]:
    """No gradients, no dropout, the fastest exact kernels; all undone at the end."""
    with torch.inference_mode(), evaluating(module), fused_gelu(module), fast_matmul(module):
        yield


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
        # padding attends to itself: a place without any key would be nan
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
_SAME_SHAPE = 0.1  # of these where the same shapes are computed

_TEXTS = ((5, 6, 7, 8, 9, 3), (5, 6, 7, 2, 4), (1, 9, 8, 4))  # two share a prefix
_OTHER_END = (*_TEXTS[0][:-1], _TEXTS[0][-1] + 1)
_ALONE = single(_TEXTS, range(len(_TEXTS)))
_TOGETHER = [tree(_TEXTS, range(len(_TEXTS)))]

_known: dict[tuple[str, ...], Layout] = {}


def kind_of(module: PreTrainedModel) -> tuple[str, ...]:
    """What modules that are probed alike have in common: class, format, device, configuration."""
    return (
        type(module).__qualname__,
        str(module.dtype),
        str(module.device),
        str(module.config._attn_implementation),
        module.config.to_json_string(),
    )


def probe_layout(module: PreTrainedModel) -> Layout:
    """How rows may be given to this causal module; tried once for each kind of module.

    Raises `ModelError` for a module that is not causal: its predictions depend on later tokens.
    """
    key = kind_of(module)
    if key in _known:
        return _known[key]
    config = module.config.get_text_config().to_dict()
    rope, quantized = config.get("rope_parameters") or {}, "quantization_config" in config
    layout = Layout(
        pack=False,
        gather=False,
        window=config.get("sliding_window"),
        rope_change=rope.get("original_max_position_embeddings")
        if rope.get("rope_type") == "longrope"
        else None,
    )
    if config["vocab_size"] <= max(map(max, (*_TEXTS, _OTHER_END))):
        return layout  # the texts have tokens that it lacks
    with torch.inference_mode(), evaluating(module):
        first, *others = (_logits(module, single([text], [0]), layout) for text in _TEXTS)
        expected = torch.cat([first, *others])
        if not bool(torch.isfinite(expected).all()):
            return layout  # broken weights say nothing of their kind
        other_end = _logits(module, single([_OTHER_END], [0]), layout)
        # A mixture of experts rounds otherwise where the last token goes to another expert.
        share = 1.0 if quantized or first.dtype not in _TOLERANCE else _SAME_SHAPE
        if not is_close(other_end[:-1], first[:-1], share=share):
            raise ModelError(
                f"{type(module).__name__} must predict each token from those before it, but its "
                "predictions change with later tokens; load a causal model, or set is_decoder in "
                "its config.json if it was trained as one"
            )
        if not is_close(_logits(module, _ALONE, layout), expected):
            layout = replace(layout, pads=False)
        if has_output_layer(module):
            gathered = replace(layout, gather=True)
            if is_close(_logits(module, _ALONE, gathered), expected):
                layout = gathered
        takes_masks = module.config._attn_implementation in ("sdpa", "eager")
        packed = replace(layout, pack=True)
        may_pack = (
            module.config.model_type in _PACKABLE
            and layout.pads
            and takes_masks
            and packed.packs(max(map(len, _TEXTS)))
        )
        if may_pack and is_close(_logits(module, _TOGETHER, packed), expected):
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


def is_close(logits: Tensor, expected: Tensor, *, share: float = 1.0) -> bool:
    """Whether logits differ by no more than a share of what two ways of computing the same may."""
    if logits.shape != expected.shape:
        return False
    tolerance = share * _TOLERANCE.get(expected.dtype, _HALF_TOLERANCE)
    return bool((logits - expected).abs().max() <= tolerance * expected.float().std())
