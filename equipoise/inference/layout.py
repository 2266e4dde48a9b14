"""What a module's code can be trusted with, found by trying it on a few tokens."""

from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from equipoise.inference.forward import Layout, has_output_layer, logits_at
from equipoise.inference.prefix_sharing import Row, single, tree
from equipoise.models.context import attention_window

#: Families whose attention obeys a 4-D mask and position ids at every length (tested).
_OBEDIENT = frozenset(
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
_CLOSE = {torch.float64: 1e-3, torch.float32: 1e-3}  # of the spread of the logits
_CLOSE_IN_HALF = 0.2  # bfloat16 rounds: only gross disobedience shows

_SMALL = ((5, 6, 7, 8, 9, 3), (5, 6, 7, 2, 4), (1, 9, 8, 4))  # two share a beginning
_APART = single(_SMALL, range(len(_SMALL)))
_TOGETHER = [tree(_SMALL, range(len(_SMALL)))]

_known: dict[tuple[str, ...], Layout] = {}


def causal_layout(module: PreTrainedModel) -> Layout:
    """How rows may be put to this causal module; tried once for each kind of module."""
    key = (
        type(module).__qualname__,
        str(module.dtype),
        str(module.device),
        str(module.config._attn_implementation),
        module.config.to_json_string(),
    )
    if key not in _known:
        found = _tried(module)
        if found is None:  # its answers are not finite: nothing is learnt of its kind
            return Layout(pack=False, gather=False)
        _known[key] = found
    return _known[key]


def _tried(module: PreTrainedModel) -> Layout | None:
    plain = Layout(pack=False, gather=False)
    with torch.inference_mode():
        truth = _logits(module, _APART, plain)
        if not bool(torch.isfinite(truth).all()):
            return None
        if has_output_layer(module):
            gathered = replace(plain, gather=True)
            if _close(_logits(module, _APART, gathered), truth):
                plain = gathered
        if module.config.model_type in _OBEDIENT and _takes_masks(module):
            packed = replace(plain, pack=True)
            if _close(_logits(module, _TOGETHER, packed), truth):
                return packed
    return plain


def _takes_masks(module: PreTrainedModel) -> bool:
    window = attention_window(module)
    room = window is None or window >= max(map(len, _SMALL))
    return room and module.config._attn_implementation in ("sdpa", "eager")


def _logits(module: PreTrainedModel, rows: list[Row], layout: Layout) -> Tensor:
    """Logits of every token of the small texts, text after text."""
    length = max(map(len, rows))
    places = {
        number: [index * length + place for place in path]
        for index, row in enumerate(rows)
        for number, path in row.paths.items()
    }
    flat = torch.tensor([place for number in sorted(places) for place in places[number]])
    return logits_at(module, rows, flat.to(module.device), layout)


def _close(found: Tensor, truth: Tensor) -> bool:
    if found.shape != truth.shape:
        return False
    limit = _CLOSE.get(truth.dtype, _CLOSE_IN_HALF)
    return bool((found - truth).abs().max() <= limit * truth.float().std())
