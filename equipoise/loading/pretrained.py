"""A checkpoint's files to a `LanguageModel`, or a sentence that says why not."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.dynamic_module_utils import get_class_from_dynamic_module
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from equipoise.errors import ModelError, nearest
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.checkpoint import (
    Checkpoint,
    check_code,
    check_files,
    code_sha256,
    complete_commit,
    named_code,
    read_config,
)
from equipoise.loading.gguf import convert_gguf, find_gguf, read_record
from equipoise.loading.merged_record import read_merged
from equipoise.loading.multimodal import check_part, describe_part, is_multimodal, take_template
from equipoise.loading.probed import probe_once
from equipoise.models.quantization import (
    QUANTIZATIONS,
    check_arithmetic,
    keep_packing,
    number_format,
    quantization_config,
)
from equipoise.models.tokenization import find_unfit_token, set_pad_token
from equipoise.processes.launch import refuse_several_processes
from equipoise.records import JSON, ModelKind

SPLIT = "split"  # layers are placed over all GPUs
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_OTHER_HEADS = re.compile(r"For\w*(Classification|QuestionAnswering|MultipleChoice)|Reward")
_TRUST = "in Python trust_remote_code=True, in a recipe trust_remote_code: true"
_UNREADABLE = (OSError, ValueError, KeyError, ImportError)  # what transformers raises of files
_MISSHAPEN = (TypeError, AttributeError)  # and of a tokenizer.json that is JSON of another shape


def load_pretrained(
    checkpoint: Checkpoint, *, dtype: str, device: str, quantize: str = "auto"
) -> LanguageModel:
    """The model of a checkpoint, whose own Python code runs only where it is trusted.

    `quantize`: as `load` takes it. Raises `ModelError`.
    """
    config = read_config(checkpoint)
    _check_plain(checkpoint, quantize)
    kind = read_kind(checkpoint.name, config)
    check_files(checkpoint)
    check_code(checkpoint)
    auto = AutoModelForMaskedLM if kind == "masked" else AutoModelForCausalLM
    multimodal = kind == "causal" and is_multimodal(config)
    auto = AutoModelForImageTextToText if multimodal else auto
    split = device == SPLIT
    module = _load_module(checkpoint, auto, dtype, select_device(device), quantize, split=split)
    if multimodal:
        check_part(checkpoint.name, module)
    rows = int(module.get_input_embeddings().weight.shape[0])
    tokenizer = _load_tokenizer(checkpoint, rows, kind)
    source: dict[str, JSON] = {
        "name": checkpoint.name,
        "revision": checkpoint.revision if checkpoint.from_hub else None,
        "fingerprint": None if checkpoint.from_hub else checkpoint.revision,
        "architecture": type(module).__name__,
        "dtype": number_format(module),
        "pad": set_pad_token(tokenizer, rows),
    }
    if quantize in QUANTIZATIONS:
        source["quantize"] = quantize
    if named_code(checkpoint):
        source["remote_code"] = checkpoint.trusts_code
        if checkpoint.trusts_code:
            source["remote_code_sha256"] = code_sha256(checkpoint)
    about = {"gguf": read_record(checkpoint.folder), "part": describe_part(module)}
    source |= {name: value for name, value in about.items() if value is not None}
    merged = read_merged(checkpoint.folder)
    if merged is not None:
        source |= {"merged_into": merged.base, "edits": [dict(edit) for edit in merged.edits]}
    model = LanguageModel(
        module=module,
        tokenizer=tokenizer,
        identity=checkpoint.identity,
        kind=kind,
        source=source,
        trained_on=frozenset(merged.trained_on if merged else ()),
        start=merged.start if merged else "auto",
    )
    try:
        # what cannot be measured is refused before anything is read or trained
        weights = checkpoint.revision
        probe_once(model, f"{weights} {quantize}" if quantize in QUANTIZATIONS else weights)
    except ModelError as error:
        raise ModelError(f"{checkpoint.name} cannot be measured: {error}") from None
    return model


def load_tokenizer(name: str, *, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or Hub id, without the model. Raises `ModelError`."""
    folder = Path(name).expanduser()
    gguf = find_gguf(folder)
    folder = folder if gguf is None else convert_gguf(gguf)
    place, _, revision = (folder, "", "") if folder.is_dir() else name.partition("@")
    try:
        commit = complete_commit(str(place), revision or None)
        return AutoTokenizer.from_pretrained(
            place,
            revision=commit,
            local_files_only=folder.is_dir(),
            trust_remote_code=trust_remote_code,
        )
    except (*_UNREADABLE, *_MISSHAPEN) as error:
        raise ModelError(
            f"a tokenizer must load from '{name}', got: {_reason(error)}; name another place of "
            "that model (of an edit's base: transfer.base)"
        ) from error


def select_device(name: str) -> torch.device:
    """The device of a name; "auto": the first available accelerator. Raises `ModelError`."""
    available = ["cpu"]
    if torch.cuda.is_available():
        available += ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        available += ["mps"]
    if name == SPLIT:
        refuse_several_processes(f"a model on device '{SPLIT}', which takes all GPUs,")
    if name in ("auto", SPLIT):
        best = next((best for best in ("cuda", "mps") if best in available), "cpu")
        rank = os.environ.get("LOCAL_RANK")  # set by torchrun, for a GPU per process
        return torch.device(best if rank is None or best != "cuda" else f"cuda:{rank}")
    if name not in available:
        raise ModelError(
            f"device '{name}' is not there; {nearest(name, ['auto', SPLIT, *available])}"
        )
    return torch.device(name)


def check_dtype(dtype: str, device: torch.device) -> None:
    """Raise `ModelError` for a dtype that does not exist, or that the device is too slow for."""
    if dtype not in ("auto", *DTYPES):
        raise ModelError(f"dtype '{dtype}' is not known; {nearest(dtype, ['auto', *DTYPES])}")
    if device.type == "cpu" and dtype == "float16":
        raise ModelError(
            f"dtype must be float32 or bfloat16 on a processor, got '{dtype}', which is about 15 "
            "times slower there; take bfloat16"
        )


def read_kind(name: str, config: Mapping[str, Any]) -> ModelKind:
    """Causal or masked, by the class that the checkpoint was saved from, else by its type.

    `config`: its config.json. Raises `ModelError` where it is neither.
    """
    if config.get("is_encoder_decoder"):
        raise ModelError(
            f"{name} must be a causal or masked model, it is an encoder-decoder "
            f"({config.get('model_type')}); take another"
        )
    for architecture in config.get("architectures") or ():
        if architecture in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
            return "causal"
        if architecture in MODEL_FOR_MASKED_LM_MAPPING_NAMES.values():
            return "masked"
        if architecture.endswith("ForDecision"):
            raise ModelError(
                f"{name} must be a language model, it was saved as {architecture}, with "
                f"a decision head of its own; serve it (transformers serve {name}) and "
                f"measure decision:http://127.0.0.1:8000#{name}"
            )
        if _OTHER_HEADS.search(architecture):
            raise ModelError(
                f"{name} must be a language model, it was saved as {architecture}, "
                "whose head predicts no words; take the model that it was made from"
            )
    if is_multimodal(config):
        return "causal"
    model_type, own_code = config.get("model_type"), config.get("auto_map") or {}
    # Masked first: BERT and its kin are in transformers' list of causal models, too.
    if "AutoModelForMaskedLM" in own_code or model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "masked"
    if "AutoModelForCausalLM" in own_code or model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return "causal"
    raise ModelError(
        f"{name} must be a causal or masked language model, its config.json says "
        f"{config.get('architectures')} of type {model_type!r}; take another, or a newer "
        "transformers"
    )


def _check_plain(checkpoint: Checkpoint, quantize: str) -> None:
    """Raise `ModelError` for a quantized checkpoint that is to be quantized, or dequantized."""
    stated = read_config(checkpoint).get("quantization_config")
    if stated and quantize != "auto":
        raise ModelError(
            f"quantize must be auto for {checkpoint.name}, which is kept quantized "
            f"({stated.get('quant_method')}), got '{quantize}'; leave it out, or take the "
            "checkpoint that it was made from"
        )


def _load_module(
    checkpoint: Checkpoint,
    auto: Any,
    dtype: str,
    device: torch.device,
    quantize: str,
    *,
    split: bool,
) -> PreTrainedModel:
    folder, trust, config = checkpoint.folder, checkpoint.trusts_code, read_config(checkpoint)
    # In bfloat16 some preferences flip (docs/speed.md): on a processor it must be asked for.
    if dtype == "auto" and device.type == "cpu":
        dtype = "float32"
    # Of a type that transformers has, too, it would take its own class, which may do otherwise.
    architecture = next(iter(config.get("architectures") or ()), "")
    if auto.__name__ in (config.get("auto_map") or {}) and architecture not in transformers.__all__:
        _check_trust(checkpoint)
    try:
        options: dict[str, Any] = {"device_map": "auto"} if split else {}
        if trust and (cls := _class_by_code(checkpoint, auto.__name__)):
            auto = cls
            options["config"] = AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=trust
            )
        if quantize in QUANTIZATIONS:
            stored = str(config.get("dtype") or config.get("torch_dtype"))
            compute_dtype = DTYPES.get(stored if dtype == "auto" else dtype, torch.float32)
            options["quantization_config"] = quantization_config(quantize, compute_dtype)
            options.setdefault("device_map", {"": device})
        module, report = auto.from_pretrained(
            folder,
            dtype=DTYPES.get(dtype, "auto"),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=trust,
            output_loading_info=True,
            **options,
        )
    except _raised(checkpoint, RuntimeError, SafetensorError) as error:
        if "trust_remote_code" in str(error):
            _check_trust(checkpoint)
        if isinstance(error, ImportError) and (
            "quantization_config" in config or quantize in QUANTIZATIONS
        ):
            raise ModelError(
                f"{checkpoint.name} is quantized, which needs a package: {_reason(error)}; install "
                "it (pip install 'equipoise[quantized]' for bitsandbytes, torchao and "
                "compressed-tensors)"
            ) from error
        raise ModelError(
            f"{checkpoint.name} must load with transformers, got: {_reason(error)}; copy the whole "
            f"folder again if a file is missing or cut short{_code_hint(checkpoint)}"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:  # transformers fills them with random values
        raise ModelError(
            f"{checkpoint.name} must hold every weight of {type(module).__name__}, it lacks "
            f"{len(missing)}, first '{missing[0]}', which would be random; take a checkpoint with "
            "its language-model head"
        )
    check_arithmetic(module)
    keep_packing(module)
    _check_in_memory(checkpoint.name, module)
    # else it was put there, and transformers may refuse to move it
    if not split and quantize not in QUANTIZATIONS:
        module.to(device)
    loaded: PreTrainedModel = module.eval()
    return loaded


def _check_in_memory(name: str, module: PreTrainedModel) -> None:
    """Raise `ModelError` if a weight of a split model found no place, where no edit reaches it."""
    away = [key for key, weight in module.named_parameters() if weight.is_meta]
    if away:
        raise ModelError(
            f"{name} must fit all GPUs together to be split, {len(away)} weights do not, the first "
            f"is '{away[0]}'; take more GPUs, or bfloat16 (dtype=, --dtype)"
        )


def _class_by_code(checkpoint: Checkpoint, auto: str) -> type[PreTrainedModel] | None:
    """The class of a checkpoint that brings trusted code; None: as `auto` chooses.

    The auto classes keep the class that they first saw for a configuration, though its code be
    another since, and know none for a configuration that alone is in code of the checkpoint's own.
    """
    config = read_config(checkpoint)
    named = config.get("auto_map") or {}
    if auto in named:
        cls = get_class_from_dynamic_module(named[auto], checkpoint.folder, local_files_only=True)
        return cast(type[PreTrainedModel], cls)
    architecture = next(iter(config.get("architectures") or ()), "")
    if "AutoConfig" in named and architecture in transformers.__all__:
        return cast(type[PreTrainedModel], getattr(transformers, architecture))
    return None


def _load_tokenizer(checkpoint: Checkpoint, rows: int, kind: ModelKind) -> PreTrainedTokenizerBase:
    """The tokenizer, if it fits a model of this kind with this many rows of embeddings."""
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            checkpoint.folder, local_files_only=True, trust_remote_code=checkpoint.trusts_code
        )
    except _raised(checkpoint, *_MISSHAPEN) as error:
        if "trust_remote_code" in str(error):
            _check_trust(checkpoint)
        raise ModelError(
            f"the tokenizer of {checkpoint.name} must load, got: {_reason(error)}; save it again "
            f"with transformers{_code_hint(checkpoint)}"
        ) from error
    take_template(tokenizer, checkpoint.folder)
    unfit = find_unfit_token(tokenizer, rows)
    if unfit is not None:
        raise ModelError(
            f"the tokenizer of {checkpoint.name} must have at most the model's {rows} tokens, "
            f"{unfit!r} has number {tokenizer.get_vocab()[unfit]}; give the model a row for each "
            "(resize_token_embeddings) and train them, or save it with its own tokenizer"
        )
    if kind == "masked" and tokenizer.mask_token_id is None:
        raise ModelError(
            f"the tokenizer of the masked model {checkpoint.name} must have a mask token, it has "
            "none; set mask_token and save it again"
        )
    return tokenizer


def _raised(checkpoint: Checkpoint, *more: type[Exception]) -> tuple[type[Exception], ...]:
    """What loading may raise; code of a checkpoint's own may raise anything."""
    return (Exception,) if checkpoint.trusts_code else (*_UNREADABLE, *more)


def _check_trust(checkpoint: Checkpoint) -> None:
    """Raise `ModelError` with the flag's name for a checkpoint whose code may not run."""
    if not checkpoint.trusts_code:
        raise ModelError(
            f"{checkpoint.name} must run Python code of its own, its auto_map names "
            f"{', '.join(named_code(checkpoint))}, which is never run unasked; read that code, and "
            f"if you trust it give --trust-remote-code ({_TRUST})"
        )


def _code_hint(checkpoint: Checkpoint) -> str:
    trusted = checkpoint.trusts_code and named_code(checkpoint)
    return ", or take the transformers that its own code was written for" if trusted else ""


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
