"""Where each architecture keeps its parts: a table, and the functions that read it.

Paths are attribute names joined by dots, as `torch.nn.Module.get_submodule` reads them. A family
that is missing is an entry in `ARCHITECTURES`; nothing else needs to change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from torch import nn
from transformers import PreTrainedModel

from equipoise.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """The parts of an architecture: paths from the whole model, or from a block."""

    base: str  # the model without its head; its output is what the head reads
    blocks: str  # an nn.ModuleList
    final_norm: str | None  # None: the last block's own norm is the last
    head: str  # from the last hidden state to the vocabulary
    embeddings: str  # of tokens
    attention: str  # in a block: all of attention, its output projection included
    attention_output: str  # in a block: the projection that mixes the heads
    mlp: tuple[str, ...]  # in a block: the modules of the feed-forward part, in order
    mlp_output: str  # in a block: the projection whose output the feed-forward part adds
    norms: tuple[str, ...]  # in a block
    norm_place: Literal["before", "after", "around"] = "before"  # of a block's two parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """The attention heads of a model; the output projection reads `count * size` features."""

    count: int
    key_value: int  # fewer than `count` when queries share keys and values
    size: int  # features a head


_GPT2 = Anatomy(
    base="transformer",
    blocks="transformer.h",
    final_norm="transformer.ln_f",
    head="lm_head",
    embeddings="transformer.wte",
    attention="attn",
    attention_output="attn.c_proj",
    mlp=("mlp",),
    mlp_output="mlp.c_proj",
    norms=("ln_1", "ln_2"),
)
_LLAMA = Anatomy(
    base="model",
    blocks="model.layers",
    final_norm="model.norm",
    head="lm_head",
    embeddings="model.embed_tokens",
    attention="self_attn",
    attention_output="self_attn.o_proj",
    mlp=("mlp",),
    mlp_output="mlp.down_proj",
    norms=("input_layernorm", "post_attention_layernorm"),
)
_GEMMA2 = replace(
    _LLAMA,
    norms=(
        "input_layernorm",
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ),
    norm_place="around",
)
_GEMMA3 = replace(
    _GEMMA2,
    base="model.language_model",
    blocks="model.language_model.layers",
    final_norm="model.language_model.norm",
    embeddings="model.language_model.embed_tokens",
)
_GPT_NEOX = Anatomy(
    base="gpt_neox",
    blocks="gpt_neox.layers",
    final_norm="gpt_neox.final_layer_norm",
    head="lm_head",
    embeddings="gpt_neox.embed_in",
    attention="attention",
    attention_output="attention.dense",
    mlp=("mlp",),
    mlp_output="mlp.dense_4h_to_h",
    norms=("input_layernorm", "post_attention_layernorm"),
)
_OPT = Anatomy(
    base="model.decoder",
    blocks="model.decoder.layers",
    final_norm="model.decoder.final_layer_norm",
    head="lm_head",
    embeddings="model.decoder.embed_tokens",
    attention="self_attn",
    attention_output="self_attn.out_proj",
    mlp=("fc1", "fc2"),
    mlp_output="fc2",
    norms=("self_attn_layer_norm", "final_layer_norm"),
)
_BERT = Anatomy(
    base="bert",
    blocks="bert.encoder.layer",
    final_norm=None,
    head="cls",
    embeddings="bert.embeddings.word_embeddings",
    attention="attention",
    attention_output="attention.output.dense",
    mlp=("intermediate", "output"),
    mlp_output="output.dense",
    norms=("attention.output.LayerNorm", "output.LayerNorm"),
    norm_place="after",
)
_ROBERTA = replace(
    _BERT,
    base="roberta",
    blocks="roberta.encoder.layer",
    head="lm_head",
    embeddings="roberta.embeddings.word_embeddings",
)

#: By `config.model_type`.
ARCHITECTURES: Mapping[str, Anatomy] = MappingProxyType(
    {
        "gpt2": _GPT2,
        "llama": _LLAMA,
        "mistral": _LLAMA,
        "qwen2": _LLAMA,
        "qwen3": replace(_LLAMA, norms=(*_LLAMA.norms, "self_attn.q_norm", "self_attn.k_norm")),
        "gemma": _LLAMA,
        "gemma2": _GEMMA2,
        "gemma3_text": replace(
            _GEMMA2, norms=(*_GEMMA2.norms, "self_attn.q_norm", "self_attn.k_norm")
        ),
        "gemma3": replace(_GEMMA3, norms=(*_GEMMA3.norms, "self_attn.q_norm", "self_attn.k_norm")),
        "gpt_neox": _GPT_NEOX,
        "opt": _OPT,
        "bert": _BERT,
        "roberta": _ROBERTA,
    }
)


def anatomy(module: PreTrainedModel) -> Anatomy:
    """The table's entry for a model.

    Raises `ModelError` naming the architecture and the known ones when the table has none.
    """
    kind = str(module.config.model_type)
    if kind not in ARCHITECTURES:
        raise ModelError(
            f"the parts of architecture '{kind}' ({type(module).__name__}) are not known; "
            f"known: {', '.join(sorted(ARCHITECTURES))} (an entry in models/anatomy.py adds it)"
        )
    return ARCHITECTURES[kind]


def base(module: PreTrainedModel) -> nn.Module:
    """The model without its head; `last_hidden_state` of its output is after the final norm."""
    return _part(module, anatomy(module).base)


def blocks(module: PreTrainedModel) -> nn.ModuleList:
    """The blocks, in order. A block's output is the residual stream before the final norm."""
    part = _part(module, anatomy(module).blocks)
    if not isinstance(part, nn.ModuleList):
        raise ModelError(
            f"the blocks of {type(module).__name__} must be an nn.ModuleList, got "
            f"{type(part).__name__}; load the model through transformers"
        )
    return part


def block(module: PreTrainedModel, number: int) -> nn.Module:
    """One block, counted from 0. Raises `ModelError` when there is no such block."""
    parts = blocks(module)
    if not 0 <= number < len(parts):
        raise ModelError(
            f"block must be 0 to {len(parts) - 1} in {type(module).__name__}, got {number}; "
            "choose another"
        )
    return parts[number]


def final_norm(module: PreTrainedModel) -> nn.Module:
    """The norm between the last block and the head.

    Raises `ModelError` for a model that has none (BERT, RoBERTa, OPT-350m).
    """
    path = anatomy(module).final_norm
    parent, _, name = (path or "").rpartition(".")
    if path is None or dict(_part(module, parent).named_children()).get(name) is None:
        raise ModelError(
            f"{type(module).__name__} must have a norm after its last block, it has none; "
            "use a model whose blocks are normed before"
        )
    return _part(module, path)


def head(module: PreTrainedModel) -> nn.Module:
    """The map from the last hidden state to logits; Gemma 2 caps its logits after it."""
    return _part(module, anatomy(module).head)


def embeddings(module: PreTrainedModel) -> nn.Module:
    """The token embeddings; tied to the head's weight in many models."""
    return _part(module, anatomy(module).embeddings)


def attention(module: PreTrainedModel, number: int) -> nn.Module:
    """The attention part of a block, its output projection included."""
    return _part(block(module, number), anatomy(module).attention)


def attention_output(module: PreTrainedModel, number: int) -> nn.Module:
    """The projection of a block that mixes its heads; head h reads features h*size onward.

    A `Linear` keeps its weight as [output, input], GPT-2's `Conv1D` as [input, output].
    """
    return _part(block(module, number), anatomy(module).attention_output)


def mlp(module: PreTrainedModel, number: int) -> tuple[nn.Module, ...]:
    """The modules of a block's feed-forward part, in order; the last module's output is added."""
    parent = block(module, number)
    return tuple(_part(parent, path) for path in anatomy(module).mlp)


def mlp_output(module: PreTrainedModel, number: int) -> nn.Module:
    """The projection of a block whose output its feed-forward part adds, before any norm.

    A `Linear` keeps its weight as [output, input], GPT-2's `Conv1D` as [input, output].
    """
    return _part(block(module, number), anatomy(module).mlp_output)


def norms(module: PreTrainedModel, number: int) -> tuple[nn.Module, ...]:
    """The norms of a block, those of queries and keys included."""
    parent = block(module, number)
    return tuple(_part(parent, path) for path in anatomy(module).norms)


def heads(module: PreTrainedModel) -> Heads:
    """Number and size of the attention heads, the same in every block."""
    anatomy(module)  # refuses an unknown architecture
    config = module.config.get_text_config().to_dict()
    count = int(module.config.get_text_config().num_attention_heads)
    width = int(module.config.get_text_config().hidden_size)
    return Heads(
        count=count,
        key_value=int(config.get("num_key_value_heads") or count),
        size=int(config.get("head_dim") or width // count),
    )


def _part(root: nn.Module, path: str) -> nn.Module:
    try:
        return root.get_submodule(path)
    except AttributeError as error:
        raise ModelError(
            f"{type(root).__name__} must have a part '{path}', it has none ({error}); "
            "its class in this version of transformers differs from models/anatomy.py"
        ) from error
