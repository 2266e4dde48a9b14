"""A checkpoint's module and tokenizer for a class of transformers, whole or refused.

What sentence encoders and classifiers share; language models have more forms (`pretrained.py`).
"""

from typing import Any

from safetensors import SafetensorError
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from equipoise.errors import ModelError
from equipoise.loading.checkpoint import Checkpoint
from equipoise.loading.pretrained import DTYPES


def load_parts(
    auto_class: Any,
    checkpoint: Checkpoint,
    dtype: str,
    *,
    remedy: str,
    unused: tuple[str, ...] = (),
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The module by an Auto class of transformers, from safetensors alone, and its tokenizer.

    `unused`: beginnings of names of weights that may be missing. Raises `ModelError` where it does
    not load, and where a weight is missing, with the `remedy`.
    """
    try:
        module, report = auto_class.from_pretrained(
            checkpoint.folder,
            dtype=DTYPES.get(dtype, "auto"),
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"{checkpoint.name} must load with transformers, got: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}; copy the whole folder again"
        ) from error
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(unused))
    if missing:
        raise ModelError(
            f"{checkpoint.name} must hold every weight of {type(module).__name__}, it lacks "
            f"{len(missing)}, first '{missing[0]}', which would be random; {remedy}"
        )
    return module, tokenizer
