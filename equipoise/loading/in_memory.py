"""A model that somebody has already loaded with transformers, as a `LanguageModel`."""

import copy
import hashlib
import re
from pathlib import Path
from typing import TypeAlias

from peft import PeftModel
from torch import nn
from transformers import Pipeline, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from equipoise.edits.base import Edit
from equipoise.edits.edit import tensor_bytes
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.probed import probe_once
from equipoise.models.quantization import check_arithmetic, keep_packing, number_format
from equipoise.models.tokenization import find_unfit_token, set_pad_token
from equipoise.records import JSON, Measurement, ModelKind

#: A model and its tokenizer, or a pipeline that has both.
Pair: TypeAlias = tuple[PreTrainedModel | PeftModel, PreTrainedTokenizerBase] | Pipeline

_PAIR = "give both as a pair, (model, tokenizer)"


def wrap(module: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase) -> LanguageModel:
    """A model of transformers in memory, with its tokenizer, ready to be measured and edited.

    However it was loaded: quantized, over several devices (`device_map`), with a PEFT adapter, or
    changed by hand. The module itself is used, in evaluation mode from now on; the tokenizer is
    copied. It is called by its configuration's name and a hash of all its weights.
    Raises `ModelError` for what is no causal or masked language model, or does not fit together.
    """
    if isinstance(module, PeftModel):
        if module.active_peft_config.is_prompt_learning:
            raise ModelError(
                "an adapter must be in the layers of a model to be measured, got "
                f"{module.active_peft_config.peft_type}, which is put before texts; measure its "
                "base"
            )
        module = module.get_base_model()
    if not (isinstance(module, PreTrainedModel) and isinstance(tokenizer, PreTrainedTokenizerBase)):
        raise ModelError(
            "a model and its tokenizer must be of transformers, got "
            f"{type(module).__name__} and {type(tokenizer).__name__}; {_PAIR}"
        )
    kind = _kind_of(module)
    module.eval()
    check_arithmetic(module)
    keep_packing(module)
    tokenizer = copy.deepcopy(tokenizer)
    rows = int(module.get_input_embeddings().weight.shape[0])
    unfit = find_unfit_token(tokenizer, rows)
    if unfit is not None:
        raise ModelError(
            f"a tokenizer must have at most the model's {rows} tokens, '{unfit}' is beyond them; "
            "give the model's own tokenizer, or resize_token_embeddings"
        )
    name = str(module.config.name_or_path or "").rstrip("/")
    title = Path(name).name if Path(name).exists() else name
    fingerprint = _hash_weights(module)
    source: dict[str, JSON] = {
        "name": name,
        "revision": vars(module.config).get("_commit_hash"),
        "fingerprint": fingerprint,
        "in_memory": True,
        "architecture": type(module).__name__,
        "dtype": number_format(module),
        "pad": set_pad_token(tokenizer, rows),
    }
    model = LanguageModel(
        module=module,
        tokenizer=tokenizer,
        identity=f"{title or type(module).__name__}@{fingerprint[:8]}",
        kind=kind,
        source=source,
    )
    try:
        probe_once(model, fingerprint)
    except ModelError as error:
        raise ModelError(f"{model.identity} cannot be measured: {error}") from None
    return model


def as_model(model: object) -> LanguageModel:
    """The model that was given: loaded with `load`, or a pair (or pipeline) of transformers.

    Raises `ModelError` with what to do for anything else: a name, a module without its tokenizer.
    """
    if isinstance(model, LanguageModel):
        return model
    if isinstance(model, Pipeline):
        return wrap(model.model, model.tokenizer)
    if isinstance(model, tuple | list) and len(model) == 2:
        first, second = model
        return wrap(first, second)
    raise ModelError(f"{_explain(model)}") from None


def refuse_other_things(model: object) -> None:
    """Raise `ModelError` for what is often given in place of a model, and has no answers."""
    mistaken = (str, Path, nn.Module, Edit, Measurement, dict, set, list, tuple, type)
    if model is None or isinstance(model, mistaken):
        raise ModelError(_explain(model))


def _explain(model: object) -> str:
    what = f"{type(model).__name__}"
    if isinstance(model, str | Path):
        return (
            f"a model must be loaded, got its name {str(model)!r:.80}; load it: "
            f"eq.load({str(model)!r:.80})"
        )
    if isinstance(model, nn.Module):
        return f"a model must come with its tokenizer, got {what} alone; {_PAIR}"
    if isinstance(model, Edit):
        return (
            f"a model must be given, got the edit '{model.info.method}'; attach it: "
            "with edit.attached(model) as edited"
        )
    return f"a model must be what eq.load gives, got {what}; load one, or {_PAIR}"


def _kind_of(module: PreTrainedModel) -> ModelKind:
    name = type(module).__name__
    if name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        return "causal"
    if name in MODEL_FOR_MASKED_LM_MAPPING_NAMES.values():
        return "masked"
    if module.get_output_embeddings() is None or re.search("Encoder|Classification", name):
        raise ModelError(
            f"a model must predict words, got {name}; load it with AutoModelForCausalLM or "
            "AutoModelForMaskedLM"
        )
    return "causal"


def _hash_weights(module: PreTrainedModel) -> str:
    """sha256 (hex) over names, shapes and values; of what lies on a disk names and shapes alone."""
    digest = hashlib.sha256()
    saved = module.state_dict().keys()
    # packed weights of GPTQ and AWQ are buffers
    packed = [(name, buffer) for name, buffer in module.named_buffers() if name in saved]
    for name, tensor in (*module.named_parameters(), *packed):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        if tensor.is_meta:
            continue
        try:
            digest.update(tensor_bytes(tensor))
        except (NotImplementedError, RuntimeError):  # torchao's packed weights
            digest.update(tensor_bytes(tensor.dequantize()))
    return digest.hexdigest()
