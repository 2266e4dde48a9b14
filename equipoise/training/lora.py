"""LoRA: which layers of an architecture take it, and a model that is being trained with it.

Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models"; the adapters are PEFT's.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import MappingProxyType

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from equipoise.edits.adapter import ADAPTER, PREFIX, inject
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import attention, blocks
from equipoise.records import JSON

_QKVO = ("q_proj", "k_proj", "v_proj", "o_proj")
_MLP = ("gate_proj", "up_proj", "down_proj")

#: By `config.model_type`; of other families the linear layers inside attention.
TARGETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gpt2": ("attn.c_attn", "attn.c_proj"),
        "llama": _QKVO,
        "mistral": _QKVO,
        "qwen2": (*_QKVO, *_MLP),
        "qwen3": (*_QKVO, *_MLP),
    }
)


def lora_config(
    module: PreTrainedModel,
    *,
    rank: int,
    alpha: float,
    dropout: float,
    targets: Sequence[str] = ("auto",),
) -> dict[str, JSON]:
    """PEFT's `adapter_config.json` for a causal model.

    `targets`: ends of module names; ("auto",): what the architecture usually takes (`TARGETS`);
    ("all-linear",): every linear layer but the output layer.
    Raises `ModelError` when a target is in no such module of the model, and for a name of many
    beside others; for a rank above the narrower side of every layer.
    """
    chosen = _chosen(module, tuple(targets))
    head = module.get_output_embeddings()  # it stays as it is, and the losses rely on that
    names = [name for name, one in module.named_modules() if _is_linear(one) and one is not head]
    for end in chosen:
        if not any(name == end or name.endswith("." + end) for name in names):
            raise ModelError(
                f"LoRA's target '{end}' must end the name of a linear layer of "
                f"{type(module).__name__} that is not its output layer, none ends so; name others, "
                "or 'auto'"
            )
    most = max(
        min(module.get_submodule(name).weight.shape)
        for name in names
        if any(name == end or name.endswith("." + end) for end in chosen)
    )
    if rank > most:
        raise ModelError(
            f"LoRA's rank must be at most {most}, with which any change of its layers can be made, "
            f"got {rank}; lower it"
        )
    turned = any(isinstance(one, Conv1D) for one in module.modules())
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "target_modules": list(chosen),
        "bias": "none",
        "fan_in_fan_out": turned,
    }


@contextmanager
def lora_in_training(
    model: LanguageModel, config: Mapping[str, JSON], *, seed: int
) -> Iterator[dict[str, nn.Parameter]]:
    """The model with a fresh adapter, and the adapter's parameters by name; taken off afterwards.

    At first the adapter changes nothing: one factor is 0, the other drawn by the seed.
    """
    with ExitStack() as undo:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            inject(model, config, undo)
        yield {name: one for name, one in model.module.named_parameters() if ".lora_" in name}


def adapter_dropout(module: nn.Module, *, on: bool) -> None:
    """Switch the adapter's own dropout; the model's stays as it is."""
    for layer in module.modules():
        if isinstance(layer, LoraLayer):
            layer.lora_dropout.train(on)


def adapter_tensors(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Trained parameters under the names of an adapter's file."""
    return {PREFIX + name.replace(f".{ADAPTER}", ""): one for name, one in weights.items()}


def _chosen(module: PreTrainedModel, targets: tuple[str, ...]) -> tuple[str, ...]:
    together = [target for target in targets if target in ("auto", "all-linear")]
    if together and len(targets) > 1:
        raise ModelError(
            f"LoRA's target '{together[0]}' must stand alone, got {list(targets)}; name modules, "
            "or it"
        )
    if targets == ("auto",):
        kind = module.config.get_text_config().model_type
        return TARGETS.get(kind) or _linear_ends(attention(module, 0))
    if targets == ("all-linear",):
        return tuple(dict.fromkeys(end for block in blocks(module) for end in _linear_ends(block)))
    return targets


def _linear_ends(part: nn.Module) -> tuple[str, ...]:
    """Last names of the linear layers inside a part."""
    ends = (name for name, one in part.named_modules() if _is_linear(one))
    return tuple(dict.fromkeys(end.rpartition(".")[2] for end in ends))


def _is_linear(one: nn.Module) -> bool:
    return isinstance(one, nn.Linear | Conv1D)
