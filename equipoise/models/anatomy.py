"""The parts of a model: blocks, norms, attention, feed-forward part, head.

They are searched in the module tree and verified by a forward pass over a few tokens, so that a
new family needs no entry here. Paths are attribute names joined by dots, as
`torch.nn.Module.get_submodule` reads them.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from equipoise.errors import ModelError
from equipoise.models.kernels import evaluating


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockParts:
    """The parts of a block: paths from the block."""

    attention: str | None  # all that mixes positions, its output projection included
    attention_output: str | None  # the projection that mixes the heads
    mlp: tuple[str, ...]  # the modules of the feed-forward part, in order
    mlp_output: str | None  # the projection whose output the feed-forward part adds
    norms: tuple[str, ...]  # those of queries and keys included


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """The parts of a model: paths from the whole model."""

    base: str  # the model without its head; its `last_hidden_state` is what the head reads
    blocks: str  # an nn.ModuleList
    final_norm: str | None  # None: the last block's own norm is the last
    head: str  # from the last hidden state to the vocabulary
    embeddings: str  # of tokens
    parts: tuple[BlockParts, ...]  # of each block: those of hybrid models differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """The attention heads of a model; the output projection reads `count * size` features."""

    count: int
    key_value: int  # fewer than `count` when queries share keys and values
    size: int  # features per head


_searched: dict[tuple[str, str], Anatomy] = {}


def anatomy(module: PreTrainedModel) -> Anatomy:
    """The parts of a model; searched once for each kind of module.

    Raises `ModelError` when no list has as many modules as the model has blocks, or when
    a block does not read what the block before it puts out.
    """
    key = (type(module).__qualname__, repr(vars(module.config)))  # JSON takes 40 times as long
    if key not in _searched:
        _searched[key] = _search(module)
    return _searched[key]


def base(module: PreTrainedModel) -> nn.Module:
    """The model without its head; `last_hidden_state` of its output is after the final norm."""
    return _part(module, anatomy(module).base)


def blocks(module: PreTrainedModel) -> nn.ModuleList:
    """The blocks, in order. A block's output is the residual stream before the final norm."""
    return cast(nn.ModuleList, _part(module, anatomy(module).blocks))


def block(module: PreTrainedModel, number: int) -> nn.Module:
    """The block of that number, counted from 0. Raises `ModelError` when there is no such block."""
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
    if path is None:
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
    """The attention part of a block, its output projection included.

    Of a recurrent block (Mamba, RWKV) what mixes positions in place of attention.
    Raises `ModelError` for a block that mixes no positions.
    """
    return _block_part(module, number, "attention", block_parts(module, number).attention)


def attention_output(module: PreTrainedModel, number: int) -> nn.Module:
    """The projection of a block that mixes its heads; head h reads features h*size onward.

    A `Linear` keeps its weight as [output, input], GPT-2's `Conv1D` as [input, output].
    Raises `ModelError` for a block whose attention does not end with a projection.
    """
    path = block_parts(module, number).attention_output
    return _block_part(module, number, "output projection of attention", path)


def mlp(module: PreTrainedModel, number: int) -> tuple[nn.Module, ...]:
    """The modules of a block's feed-forward part, in order; the last module's output is added.

    Empty for a block that has none, as Mamba's.
    """
    parent = block(module, number)
    return tuple(_part(parent, path) for path in block_parts(module, number).mlp)


def mlp_output(module: PreTrainedModel, number: int) -> nn.Module:
    """The projection of a block whose output its feed-forward part adds, before any norm.

    A `Linear` keeps its weight as [output, input], GPT-2's `Conv1D` as [input, output].
    Raises `ModelError` for a block without such a projection, as in a mixture of experts.
    """
    path = block_parts(module, number).mlp_output
    return _block_part(module, number, "single output projection of its feed-forward part", path)


def norms(module: PreTrainedModel, number: int) -> tuple[nn.Module, ...]:
    """The norms of a block, those of queries and keys included."""
    parent = block(module, number)
    return tuple(_part(parent, path) for path in block_parts(module, number).norms)


def block_parts(module: PreTrainedModel, number: int) -> BlockParts:
    """The parts of a block, counted from 0. Raises `ModelError` when there is no such block."""
    block(module, number)
    return anatomy(module).parts[number]


def heads(module: PreTrainedModel) -> Heads:
    """Number and size of the attention heads, the same in every block that has attention."""
    config = module.config.get_text_config()
    settings = vars(config)
    count = int(config.num_attention_heads)
    # Falcon has the second name. Gemma's heads are wider together than its stream, so `head_dim`
    # goes before the quotient.
    shared = settings.get("num_key_value_heads") or settings.get("num_kv_heads")
    if settings.get("multi_query") and not settings.get("new_decoder_architecture"):
        shared = 1  # Falcon's, whatever num_kv_heads says
    width = int(config.hidden_size)
    return Heads(
        count=count,
        key_value=int(shared or count),
        size=int(settings.get("head_dim") or width // count),
    )


def _block_part(module: PreTrainedModel, number: int, what: str, path: str | None) -> nn.Module:
    if path is None:
        raise ModelError(
            f"block {number} of {type(module).__name__} must have a {what}, got "
            f"{', '.join(name for name, _ in block(module, number).named_children())}; choose "
            "another block or method"
        )
    return _part(block(module, number), path)


def _part(root: nn.Module, path: str) -> nn.Module:
    try:
        return root.get_submodule(path)
    except AttributeError as error:
        raise ModelError(
            f"{type(root).__name__} must have a part '{path}', it has none ({error}); "
            "its class in this version of transformers differs from models/anatomy.py"
        ) from error


# --- the search -------------------------------------------------------------------------------

_ATTENTION = re.compile(r"att(n|en)?(tion)?$")  # by name: attn, self_attn, attention, self_att
_MIXER = re.compile(r"mixer|mamba|temporal|lstm|conv|time_mix")  # in place of attention
_TOKENS = (1, 2, 3, 4, 2)


@dataclass(slots=True)
class _Calls:
    """What went into modules and came out of them in a forward pass: [1, token, feature]."""

    inputs: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)  # of completion


def _search(module: PreTrainedModel) -> Anatomy:
    names = {id(part): path for path, part in module.named_modules()}
    source, target = module.get_input_embeddings(), module.get_output_embeddings()
    if not isinstance(source, nn.Module) or not isinstance(target, nn.Module):
        raise _refusal(module, "it does not say which modules are its embeddings and its head")
    blocks_path = _find_blocks(module, names[id(source)])
    calls = _trace(module)
    paths = [name for name in calls.order if name.rpartition(".")[0] == blocks_path]
    count = len(list(module.get_submodule(blocks_path).children()))
    if paths != [f"{blocks_path}.{number}" for number in range(count)]:
        raise _refusal(module, f"its {count} blocks do not run once each and in order: {paths}")
    if not all(bool(torch.isfinite(calls.outputs[path]).all()) for path in paths):
        raise _refusal(module, "what its blocks put out is not finite: its weights may be damaged")
    for before, after in pairwise(paths):
        if not _equal(calls.outputs.get(before), calls.inputs.get(after)):
            raise _refusal(module, f"{after} does not read what {before} puts out")
    # The head may be a network around the output layer (BERT's): the outermost module that reads
    # what a module around the blocks, the innermost of such, puts out.
    target_path = names[id(target)]
    around = [path for path in _parents(blocks_path) if path in _parents(names[id(source)])]
    ends = [
        (base, head)
        for head in (*reversed(_parents(target_path)), target_path)
        for base in around
        if _equal(calls.outputs.get(base), calls.inputs.get(head))
    ]
    if not ends:
        raise _refusal(module, f"no module around its blocks puts out what {target_path} reads")
    base_path, head_path = ends[0]
    stream, hidden = calls.outputs[paths[-1]], calls.outputs[base_path]
    final_norms = [
        name
        for name in calls.order[calls.order.index(paths[-1]) + 1 :]
        if name not in (*_parents(blocks_path), head_path)
        and _equal(calls.inputs.get(name), stream)
        and _equal(calls.outputs.get(name), hidden)
    ]
    return Anatomy(
        base=base_path,
        blocks=blocks_path,
        final_norm=final_norms[0] if final_norms else None,
        head=head_path,
        embeddings=names[id(source)],
        parts=tuple(_find_parts(module, path, calls) for path in paths),
    )


def _find_blocks(module: PreTrainedModel, embeddings_path: str) -> str:
    """The list of blocks: as long as the model is deep, nearest to the token embeddings."""
    try:
        # not from `to_dict`: some compute it, and families have names of their own for it
        depth = module.config.get_text_config().num_hidden_layers
    except AttributeError:
        depth = None
    lists: dict[str, nn.ModuleList] = {
        path: part
        for path, part in module.named_modules()
        if isinstance(part, nn.ModuleList) and len(part) == depth
    }
    if not lists:
        raise _refusal(module, f"it has no list of {depth} modules")

    def nearness(path: str) -> tuple[int, int]:
        # An encoder of pictures may be as deep; a list of norms has fewer weights.
        shared = set(_parents(path)) & set(_parents(embeddings_path))
        return len(shared), sum(weight.numel() for weight in lists[path].parameters())

    return max(lists, key=nearness)


def _find_parts(module: PreTrainedModel, path: str, calls: _Calls) -> BlockParts:
    """The parts of the block at `path`: attention by its name, the rest by what ran."""
    root, width = module.get_submodule(path), calls.outputs[path].shape[-1]
    ran = [name.removeprefix(f"{path}.") for name in calls.order if name.startswith(f"{path}.")]
    children = [name for name in ran if "." not in name and _has_weights(root.get_submodule(name))]
    others = [name for name in children if not _is_norm(root.get_submodule(name))]
    mixing = [name for name in others if _ATTENTION.search(name)]
    mixing += [name for name in others if _MIXER.search(name) and name not in mixing]
    fed = [name for name in others if name not in mixing]

    def projections(part: str) -> list[str]:
        """What writes to the residual stream's width in a part, in the order that it ran."""
        layers = [
            name
            for name in ran
            if f"{name}.".startswith(f"{part}.") and _is_projection(root.get_submodule(name))
        ]
        return [
            name
            for name in layers
            if calls.outputs[f"{path}.{name}"].shape[-1] == width
            and not any(outer in layers for outer in _parents(name))  # an adapter's own layers
        ]

    mixed, added = projections(mixing[0]) if mixing else [], projections(fed[-1]) if fed else []
    if len(added) > 1:  # where the part is no wider than the stream
        output = calls.outputs.get(f"{path}.{fed[-1]}")
        added = [name for name in added if _equal(calls.outputs[f"{path}.{name}"], output)]
    # Experts fused into weights of 3 dimensions are no modules: the projection of an expert that
    # all tokens share would pass for the only projection.
    experts = fed and any(weight.ndim > 2 for weight in root.get_submodule(fed[-1]).parameters())
    return BlockParts(
        attention=mixing[0] if mixing else None,
        attention_output=mixed[-1] if mixed else None,
        mlp=tuple(fed),
        mlp_output=added[0] if len(added) == 1 and not experts else None,
        norms=tuple(
            name
            for name, part in root.named_modules()
            if name and _is_norm(part) and _has_weights(part)
        ),
    )


def _trace(module: PreTrainedModel) -> _Calls:
    """A forward pass over a few tokens: the first tensor into and out of every module."""
    calls = _Calls()

    def keep(
        path: str, args: tuple[object, ...], options: dict[str, object], output: object
    ) -> None:
        calls.order.append(path)
        # Llama calls its attention with keywords, among which are other tensors.
        given = (options.get("hidden_states"), *args, *options.values())
        tensors = [argument for argument in given if isinstance(argument, Tensor)]
        if tensors:
            calls.inputs[path] = tensors[0]
        if isinstance(output, ModelOutput):
            output = output.get("last_hidden_state")
        output = output[0] if isinstance(output, tuple | list) and output else output
        if isinstance(output, Tensor) and output.ndim:
            calls.outputs[path] = output

    handles = [
        part.register_forward_hook(
            lambda _, args, options, output, path=path: keep(path, args, options, output),
            with_kwargs=True,
        )
        for path, part in module.named_modules()
        if path
    ]
    try:
        with torch.inference_mode(), evaluating(module):
            module(input_ids=torch.tensor([_TOKENS], device=module.device), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _equal(left: Tensor | None, right: Tensor | None) -> bool:
    return left is not None and right is not None and torch.equal(left, right)


def _is_norm(part: nn.Module) -> bool:
    # by name, since norms have no class in common
    return "norm" in type(part).__name__.lower() and next(part.children(), None) is None


def _has_weights(part: nn.Module) -> bool:
    return next(part.parameters(), None) is not None


def _is_projection(part: nn.Module) -> bool:
    """A linear layer of any kind: GPT-2's, quantized, or with an adapter around it."""
    try:
        return part.get_parameter("weight").ndim == 2 and not isinstance(part, nn.Embedding)
    except AttributeError:
        return False


def _parents(path: str) -> list[str]:
    """The paths of the modules around a module, innermost first."""
    ends = path.split(".")
    return [".".join(ends[:size]) for size in range(len(ends) - 1, 0, -1)]


def _refusal(module: PreTrainedModel, reason: str) -> ModelError:
    return ModelError(
        f"the parts of {type(module).__name__} ('{module.config.model_type}') must be known to "
        f"locate or train them, but {reason}; take a method that needs no blocks, or name an "
        "adapter's targets"
    )
