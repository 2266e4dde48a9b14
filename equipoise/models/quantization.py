"""Quantized weights: what a module's are kept in, how many there are, and what they cannot do."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from equipoise.errors import ModelError, nearest
from equipoise.models.loaded_model import LoadedModel
from equipoise.records import JSON

#: What the libraries call the bits of a weight in their configurations, or a format that has them.
_BITS = ("bits", "nbits", "num_bits", "w_bit", "weights", "_type")

#: What a checkpoint of plain numbers can be quantized to while it is loaded, by bitsandbytes.
QUANTIZATIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # QLoRA (Dettmers et al. 2023): 4-bit NormalFloat, its scales quantized again
        "nf4": {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
        },
        # without outliers, which would depend on what else is in a batch (`check_arithmetic`)
        "int8": {"load_in_8bit": True, "llm_int8_threshold": 0.0},
    }
)
#: "auto": as the checkpoint is, and of an edit's base as when it was learnt; "none": plain numbers.
QUANTIZE_CHOICES = ("auto", "none", *QUANTIZATIONS)


def check_quantize(quantize: str) -> None:
    """Raise `ModelError` for a quantization that is not known."""
    if quantize not in QUANTIZE_CHOICES:
        raise ModelError(
            f"quantize must be a known quantization, got '{quantize}'; "
            f"{nearest(quantize, QUANTIZE_CHOICES)}"
        )


def quantization_config(quantize: str, compute_dtype: torch.dtype) -> BitsAndBytesConfig:
    """How transformers quantizes a checkpoint while it loads it: one of `QUANTIZATIONS`.

    `compute_dtype`: in which 4-bit weights are multiplied; 8-bit products are of integers.
    """
    options = dict(QUANTIZATIONS[quantize])
    if "load_in_4bit" in options:
        options["bnb_4bit_compute_dtype"] = compute_dtype
    return BitsAndBytesConfig(**options)


def read_quantization(module: PreTrainedModel) -> dict[str, JSON] | None:
    """Method and bits per weight of a quantized module, for a result's record; else None.

    `bits` is None where the configuration does not say it.
    """
    stated = module.config.to_dict().get("quantization_config")
    if not stated:
        return None
    about: dict[str, JSON] = {
        "method": _text(stated["quant_method"]),
        "bits": 4 if stated.get("load_in_4bit") else 8 if stated.get("load_in_8bit") else None,
    }
    if about["bits"] is None:
        about["bits"] = next(_find_bits(stated), None)
    if stated.get("load_in_4bit"):
        about["type"] = str(stated["bnb_4bit_quant_type"])
        about["compute_dtype"] = str(stated["bnb_4bit_compute_dtype"]).removeprefix("torch.")
    return about


def number_format(module: PreTrainedModel) -> str:
    """How the weights are kept: "float32", "bitsandbytes 4-bit"."""
    about = read_quantization(module)
    if about is None:
        return str(module.dtype).removeprefix("torch.")
    return f"{about['method']} {about['bits'] or '?'}-bit"


def count_parameters(module: PreTrainedModel) -> int:
    """How many parameters there are; of packed weights as many as they stand for."""
    if read_quantization(module) is None:
        return int(module.num_parameters())
    config = copy.deepcopy(module.config)
    del config.quantization_config
    with torch.device("meta"):
        return int(type(module)(config).num_parameters())


def refuse_quantized(model: LoadedModel, method: str) -> None:
    """Raise `ModelError` for a model whose weights a method would train but cannot."""
    if read_quantization(model.module) is not None:
        raise ModelError(
            f"{method} changes weights themselves, those of {model.identity} are quantized "
            f"({number_format(model.module)}) and take no gradients; give the model that they "
            "were made from, or an adapter (bias_unlearn, cda, dpo, parity, sft, finetune)"
        )


def check_arithmetic(module: PreTrainedModel) -> None:
    """Raise `ModelError` for products that depend on what else is in a batch.

    bitsandbytes computes a feature that is large anywhere in an 8-bit batch in float16, for all
    tokens: so a token's prediction would change with later tokens and with other texts.
    """
    about = module.config.to_dict().get("quantization_config") or {}
    if about.get("load_in_8bit") and about["llm_int8_threshold"] > 0:
        raise ModelError(
            "a prediction must not depend on later tokens, in bitsandbytes 8-bit it does "
            f"(llm_int8_threshold: {about['llm_int8_threshold']}); set it to 0 in config.json, so "
            "that no feature is an outlier, or load 4-bit weights or the original"
        )


def keep_packing(module: PreTrainedModel) -> None:
    """Keep 4-bit weights of bitsandbytes in the order that they are saved in.

    On a processor with AVX512-BF16 its layers would put them into another one at their first
    forward pass, for good, with scales rounded to bfloat16 (and fail for a number of outputs that
    32 does not divide), so that a model was another after it had been read once.
    """
    for part in module.modules():
        if "support_avx512bf16_for_cpu" in vars(part):
            part.support_avx512bf16_for_cpu = False


def _find_bits(stated: object) -> Iterator[int]:
    if isinstance(stated, Mapping):
        for key, value in stated.items():
            if key in _BITS and isinstance(value, int) and not isinstance(value, bool):
                yield value
            elif key in _BITS and (digits := re.search(r"(?:int|float|fp)(\d+)", _text(value))):
                yield int(digits[1])
            else:
                yield from _find_bits(value)
    elif isinstance(stated, Sequence) and not isinstance(stated, str):
        for value in stated:
            yield from _find_bits(value)


def _text(value: object) -> str:
    """A configuration's word, also where it is an enumeration's member."""
    return str(value.value if isinstance(value, Enum) else value).lower()
