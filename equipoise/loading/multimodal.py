"""Checkpoints of models for pictures and text, whose language model is measured.

The whole class is loaded and asked without pictures, so that its logits are those that its users
see; blocks, head and limits are those of the language model (`models/anatomy.py`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from equipoise.errors import ModelError

_TWO_SIDED_PROMPTS = {"paligemma"}  # trained to read a prompt in both directions, answers in one


def is_multimodal(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is of a model that transformers asks about pictures alone.

    Gemma 3, Llama 4, Qwen 3.5 and others are in its list of causal models, too: they are not.
    """
    kind, classes = config.get("model_type"), config.get("architectures") or ()
    known = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    causal = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    if any(name in causal for name in classes):
        return False
    return any(name in known.values() for name in classes) or (not classes and kind in known)


def describe_part(module: PreTrainedModel) -> str | None:
    """What of a model is measured, for its record; None: all of it."""
    text = module.config.get_text_config()
    if text is module.config:
        return None
    part = f"language model ({text.model_type})"
    if module.config.model_type in _TWO_SIDED_PROMPTS:
        part += ", each token from those before it; it was trained to read prompts in both ways"
    return part


def check_part(name: str, module: PreTrainedModel) -> None:
    """Raise `ModelError` unless a multimodal module has a language model that reads on."""
    text = module.config.get_text_config()
    if text.is_encoder_decoder or not isinstance(module.get_output_embeddings(), nn.Module):
        raise ModelError(
            f"{name} must have a language model that predicts the next token, "
            f"{type(module).__name__} has none; take a text model"
        )


def take_template(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Give the tokenizer the chat template of its processor, where it has none of its own."""
    for name in ("chat_template.json", "processor_config.json"):
        if tokenizer.chat_template is None and (folder / name).is_file():
            tokenizer.chat_template = json.loads((folder / name).read_text()).get("chat_template")
