"""What a module computes exactly, found by trying it on a few tokens."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from equipoise.inference.forward import Layout, has_output_layer, logits_at
from equipoise.inference.prefix_sharing import PackedRow, single, tree
from equipoise.models.context import attention_window

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
