"""Forward passes with outputs at chosen places only.

How a module may be given its rows is probed on a few tokens.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from equipoise.errors import ModelError
from equipoise.inference.prefix_sharing import PackedRow, single, tree
from equipoise.models.device_copy import copy_to
from equipoise.models.kernels import evaluating, fast_matmul, fused_gelu
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.tokenization import pad_token_id
from equipoise.records import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How rows are given to a module: what it computes exactly, as `probe_layout` tells."""

    pack: bool  # rows may be trees: a 4-D mask and position ids are obeyed
    gather: bool  # the output layer may be given a few positions instead of all
    two_sided: bool = False  # a masked model: padding must be hidden from the tokens
    pad: int = 0
    pads: bool = True  # a text means the same beside a longer text, filled up to its length
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

    @property
    def record(self) -> dict[str, JSON]:
        """What is done for this module that most do not need, for results; usually empty."""
        record: dict[str, JSON] = {}
        if not self.pads:
            record["batches"] = "of texts of equal length only, others change them"
        elif self.rope_change is not None:
            record["batches"] = (
                f"of texts of up to {self.rope_change} tokens apart from longer ones"
            )
        if not (self.pack or self.two_sided):
            record["rows"] = "a text each"
        if not self.gather:
            record["output_layer"] = "at every position"
        return record


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
    is done, because its own code runs. Raises `TypeError` when the layout gathers and the module
    does not run the output layer that it names.
    """
    if not layout.gather:
        logits: Tensor = module(**_model_inputs(module, rows, layout)).logits
        return logits.flatten(0, 1)[places]

    def gather(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden = inputs[0]  # [row, position, feature], from here on [1, place, feature]
        return (hidden.flatten(0, 1)[places.to(hidden.device)][None], *inputs[1:])

    with _before_output_layer(module, gather):
        gathered: Tensor = module(**_model_inputs(module, rows, layout)).logits
    if gathered.shape[:2] != (1, len(places)):  # MobileBERT multiplies by the layer's weights
        raise TypeError(f"{type(module).__name__} does not run its output layer")
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
    lengths, width = torch.tensor(list(map(len, rows))), max(map(len, rows))
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
        return {
            "input_ids": copy_to(tokens, device),
            "attention_mask": copy_to(real.long(), device),
        }
    # padded on the right, where a causal model does not look, with tokens that the row has anyway:
    # a padding token may have no finite embedding, or none at all
    tokens, _ = pad(ids, [row[-1] for row in ids])
    inputs: dict[str, Any] = {"input_ids": copy_to(tokens, device), "use_cache": False}
    if layout.pack:
        # padding attends to itself: a place without any key would be nan
        ends, _ = pad([row.ends for row in rows], tokens.shape[1])
        depths, _ = pad([row.depths for row in rows], 0)
        inputs["position_ids"] = copy_to(depths, device)
        inputs["attention_mask"] = _ancestor_mask(copy_to(ends, device), module)
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
_COMMON = 3  # tokens that the first two texts begin with
_OTHER_END = (*_TEXTS[0][:-1], _TEXTS[0][-1] + 1)
_ALONE = single(_TEXTS, range(len(_TEXTS)))
_TOGETHER = [tree(_TEXTS, range(len(_TEXTS)))]

_known: dict[tuple[str, ...], Layout] = {}


def kind_of(module: PreTrainedModel) -> tuple[str, ...]:
    """What modules that are probed alike have in common: class, format, device, configuration."""
    return (
        f"{type(module).__module__}.{type(module).__qualname__}",
        str(module.dtype),
        str(module.device),
        str(module.config._attn_implementation),
        module.config.to_json_string(),
    )


def layout_of(model: LoadedModel) -> Layout:
    """How rows may be given to this model. Raises `ModelError` as `probe_layout`."""
    masked = model.kind == "masked"
    return probe_layout(model.module, pad=pad_token_id(model.tokenizer) if masked else None)


def probe_layout(module: PreTrainedModel, *, pad: int | None = None) -> Layout:
    """How rows may be given to this module; tried once for each kind of module.

    `pad`: of a masked model, the token that fills a row up; None: the module is causal.
    Raises `ModelError` for a module whose outputs are not finite or differ from run to run, and
    for a causal module whose predictions depend on later tokens.
    """
    key = (*kind_of(module), str(pad))
    if key in _known:
        return _known[key]
    config = module.config.get_text_config().to_dict()
    layout = _unprobed_layout(config, pad)
    if config["vocab_size"] <= max(map(max, (*_TEXTS, _OTHER_END))):
        return layout  # the texts have tokens that it lacks
    with torch.inference_mode(), evaluating(module):
        best = _best_layout(module, layout)
        if _is_shown(module, best):
            _known[key] = best
            return best
        first, *others = (_logits(module, single([text], [0]), layout) for text in _TEXTS)
        expected = torch.cat([first, *others])
        broken = torch.isnan(expected) | torch.isposinf(expected)
        if bool(broken.all()):
            raise ModelError(
                f"{type(module).__name__} must give finite outputs, got {float(expected[0, 0])} "
                f"for a few tokens in {module.dtype}; copy the weights again if they were damaged, "
                "or take another number format (dtype=, --dtype)"
            )
        if bool(broken.any()):
            return layout  # a broken token says nothing of the module's kind
        if pad is None:
            _refuse_later_tokens(module, first, layout, quantized="quantization_config" in config)
        padded = _logits(module, _ALONE, layout)
        if not is_close(padded, expected):
            _refuse_chance(module, first, layout)
            layout = replace(layout, pads=False)
        gathered = replace(layout, gather=True)
        with suppress(TypeError):  # a layer that is named and not run
            if has_output_layer(module) and is_close(_logits(module, _ALONE, gathered), padded):
                layout = gathered
        packed = replace(layout, pack=True)
        if _may_pack(module, packed) and is_close(_logits(module, _TOGETHER, packed), expected):
            layout = packed
    _known[key] = layout
    return layout


def take_layout(module: PreTrainedModel, layout: Layout, *, pad: int | None) -> None:
    """Take a layout that another process has tried out for modules of this kind."""
    _known[*kind_of(module), str(pad)] = layout


def _unprobed_layout(config: Mapping[str, Any], pad: int | None) -> Layout:
    """What is right whatever the module does, with the limits that its configuration names."""
    rope = config.get("rope_parameters") or {}
    changes = rope.get("rope_type") == "longrope"
    return Layout(
        pack=False,
        gather=False,
        two_sided=pad is not None,
        pad=pad or 0,
        window=config.get("sliding_window"),
        rope_change=rope.get("original_max_position_embeddings") if changes else None,
    )


def _may_pack(module: PreTrainedModel, packed: Layout) -> bool:
    """Whether packing is worth a try."""
    return (
        module.config.model_type in _PACKABLE
        and packed.pads
        and not packed.two_sided
        and module.config._attn_implementation in ("sdpa", "eager")
        and packed.packs(max(map(len, _TEXTS)))
    )


def _best_layout(module: PreTrainedModel, plain: Layout) -> Layout:
    """The fastest that a module of its kind may have, not tried yet."""
    gathered = replace(plain, gather=has_output_layer(module))
    packed = replace(gathered, pack=True)
    return packed if _may_pack(module, packed) else gathered


def _is_shown(module: PreTrainedModel, layout: Layout) -> bool:
    """Whether two passes show that all of a layout is right, as they do for most modules.

    A text alone, read plainly, and beside another, read with the layout. Texts of a causal module
    begin alike and go on otherwise: later tokens that count would show in what they share. False
    tells nothing, as other passes are needed to see what it is that differs.
    """
    # in a tree the text that is laid out last, else a text that is filled up to the other's
    chosen = 0 if layout.pack else 2 if layout.two_sided else 1
    members = (0, max(chosen, 1))
    rows = [tree(_TEXTS, members)] if layout.pack else single(_TEXTS, members)
    alone = _logits(module, single(_TEXTS, [chosen]), replace(layout, pack=False, gather=False))
    if bool((torch.isnan(alone) | torch.isposinf(alone)).any()):
        return False
    try:
        sizes = [len(_TEXTS[member]) for member in members]
        parts = torch.split(_logits(module, rows, layout), sizes)
    except TypeError:  # a layer that is named and not run
        return False
    beside, other = parts if chosen == 0 else reversed(parts)
    share = _SAME_SHAPE if alone.dtype in _TOLERANCE else 1.0
    same = 0 if layout.two_sided else _COMMON
    return is_close(beside, alone, share=share) and (
        same == 0 or is_close(other[:same], alone[:same], share=share)
    )


def _refuse_later_tokens(
    module: PreTrainedModel, first: Tensor, layout: Layout, *, quantized: bool
) -> None:
    """Raise `ModelError` if the first text's predictions change with its last token."""
    other_end = _logits(module, single([_OTHER_END], [0]), layout)
    # A mixture of experts rounds otherwise where the last token goes to another expert.
    share = 1.0 if quantized or first.dtype not in _TOLERANCE else _SAME_SHAPE
    if is_close(other_end[:-1], first[:-1], share=share):
        return
    _refuse_chance(module, first, layout)
    raise ModelError(
        f"{type(module).__name__} must predict each token from those before it, but its "
        "predictions change with later tokens; load a causal model, or set is_decoder in "
        "its config.json if it was trained as a decoder"
    )


def _refuse_chance(module: PreTrainedModel, first: Tensor, layout: Layout) -> None:
    """Raise `ModelError` if the first text does not give the same logits again."""
    again = _logits(module, single(_TEXTS[:1], [0]), layout)
    if not is_close(again, first):
        apart = float((again - first).abs().max())
        raise ModelError(
            f"{type(module).__name__} must give a text the same logits each time, got {apart:.2g} "
            "apart; it draws at random, so that no number of it can be repeated: take another model"
        )


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
    # Some modules give minus infinity to tokens that must not be written: no difference is nan.
    apart = torch.where(logits == expected, 0, logits - expected).abs().max()
    return bool(apart <= tolerance * expected[torch.isfinite(expected)].float().std())
