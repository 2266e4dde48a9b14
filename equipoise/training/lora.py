"""LoRA: which layers of an architecture get it, and a model in training with it.

Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models"; the adapters are PEFT's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import MappingProxyType

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from equipoise.edits.adapter import ADAPTER, AdapterEdit, inject
from equipoise.edits.edit import EditInfo
from equipoise.edits.token_tables import PREFIX
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import anatomy, attention, blocks
from equipoise.models.quantization import number_format, read_quantization
from equipoise.models.tokenization import vocabulary_of
from equipoise.records import JSON

_QKVO = ("q_proj", "k_proj", "v_proj", "o_proj")
_MLP = ("gate_proj", "up_proj", "down_proj")

#: By `config.model_type`; in other families the linear layers inside attention.
TARGETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gpt2": ("attn.c_attn", "attn.c_proj"),
        "llama": _QKVO,
        "mistral": _QKVO,
        "qwen2": (*_QKVO, *_MLP),
        "qwen3": (*_QKVO, *_MLP),
    }
)

#: Quantized weights that pass gradients on.
_WITH_GRADIENTS = ("bitsandbytes",)


def lora_config(
    module: PreTrainedModel,
    *,
    rank: int,
    alpha: float,
    dropout: float,
    targets: Sequence[str] = ("auto",),
) -> dict[str, JSON]:
    """PEFT's `adapter_config.json` for a causal model.

    `targets`: ends of module names; ("auto",): those usual in the architecture (`TARGETS`);
    ("all-linear",): every linear layer but the output layer.
    Raises `ModelError` when a target matches no linear layer of the model, when "auto" or
    "all-linear" has company, and when the rank exceeds the narrower side of every layer.
    """
    chosen = tuple(targets)
    groups = [target for target in chosen if target in ("auto", "all-linear")]
    if groups and len(chosen) > 1:
        raise ModelError(
            f"LoRA's target '{groups[0]}' must stand alone, got {list(chosen)}; drop the others"
        )
    if chosen == ("auto",):
        kind = module.config.get_text_config().model_type
        chosen = TARGETS.get(kind) or _linear_ends([attention(module, 0)])
    elif chosen == ("all-linear",):
        chosen = _linear_ends(blocks(module))
    head = module.get_output_embeddings()  # the losses rely on it being unchanged
    layers = {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear | Conv1D) and layer is not head
    }
    for end in chosen:
        if not any(_ends(name, end) for name in layers):
            raise ModelError(
                f"LoRA's target '{end}' must end the name of a linear layer of "
                f"{type(module).__name__}, not its output layer, none ends so; name others"
            )
    if module.config.get_text_config() is not module.config:
        chosen = _inside_blocks(module, chosen, layers)
    trained = (name for name in layers if any(_ends(name, end) for end in chosen))
    most = max(min(_shape(layers[name])) for name in trained)
    if rank > most:
        raise ModelError(
            f"LoRA's rank must be at most {most}, the narrower side of its widest layer, got "
            f"{rank}; lower it"
        )
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "target_modules": list(chosen),
        "bias": "none",
        "fan_in_fan_out": any(isinstance(part, Conv1D) for part in module.modules()),
    }


@contextmanager
def lora_in_training(
    model: LanguageModel,
    config: Mapping[str, JSON],
    *,
    seed: int,
    values: Mapping[str, Tensor] | None = None,
) -> Iterator[dict[str, nn.Parameter]]:
    """The adapter's parameters by name, while the model has the adapter; then it is removed.

    A fresh adapter changes nothing: A is drawn by the seed, B is 0. `values`: it begins with these,
    by the parameters' names.
    Raises `ModelError` for quantized weights through which no gradients run.
    """
    quantization = read_quantization(model.module)
    if quantization is not None and quantization["method"] not in _WITH_GRADIENTS:
        raise ModelError(
            f"an adapter is trained on plain weights or on those of {', '.join(_WITH_GRADIENTS)}, "
            f"{model.identity} is {number_format(model.module)}; give the model that it was made "
            "from"
        )
    with ExitStack() as undo:
        # devices are named, or torch warns where there are several
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            inject(model, config, undo)
        named = model.module.named_parameters()
        parameters = {name: parameter for name, parameter in named if ".lora_" in name}
        if values is not None:
            if odd := sorted(parameters.keys() ^ values.keys()):
                raise ModelError(
                    f"an adapter must have the values of {model.identity}'s {len(parameters)} "
                    f"parameters, '{odd[0]}' is not in both; take one that was trained on it"
                )
            with torch.no_grad():
                for name, parameter in parameters.items():
                    parameter.copy_(values[name])
        yield parameters


def adapter_dropout(module: nn.Module, *, on: bool) -> None:
    """Switch the adapter's own dropout on or off, not the model's."""
    for layer in module.modules():
        if isinstance(layer, LoraLayer):
            layer.lora_dropout.train(on)


def adapter_tensors(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Trained parameters under the names of an adapter's file."""
    return {PREFIX + name.replace(f".{ADAPTER}", ""): value for name, value in weights.items()}


def adapter_edit(
    model: LanguageModel,
    info: EditInfo,
    config: Mapping[str, JSON],
    weights: Mapping[str, Tensor],
) -> AdapterEdit:
    """The edit of an adapter that was trained on a model; its record gets the model's vocabulary.

    `weights`: by the parameters' names.
    """
    return AdapterEdit(
        info=replace(info, base_vocabulary=str(vocabulary_of(model.tokenizer))),
        config=config,
        tensors=adapter_tensors(weights),
    )


def _linear_ends(parts: Iterable[nn.Module]) -> tuple[str, ...]:
    """Last names of the linear layers inside some parts."""
    layers = (named for part in parts for named in part.named_modules())
    ends = (name for name, layer in layers if isinstance(layer, nn.Linear | Conv1D))
    return tuple(dict.fromkeys(end.rpartition(".")[2] for end in ends))


def _inside_blocks(
    module: PreTrainedModel, ends: Sequence[str], layers: Iterable[str]
) -> tuple[str, ...]:
    """Targets that match in the language model and in a picture tower, in the former alone."""
    path = anatomy(module).blocks
    chosen: list[str] = []
    for end in ends:
        matching = [name for name in layers if _ends(name, end)]
        inside = [name for name in matching if name.startswith(f"{path}.")]
        chosen += inside if inside and len(inside) < len(matching) else [end]
    return tuple(chosen)


def _shape(layer: nn.Module) -> tuple[int, ...]:
    """Inputs and outputs; the weight of a quantized layer is packed and has another shape."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return tuple(layer.get_parameter("weight").shape)


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith("." + end)
