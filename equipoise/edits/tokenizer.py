"""The tokenizer that stands beside an edit: its files, and a model that uses it.

Whoever trains an adapter with added tokens saves the tokenizer beside it. Its files are kept as
bytes, and are part of what the edit is.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from equipoise.edits.token_tables import count_rows, count_saved_rows, resize_tables
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import find_unfit_token, set_pad_token

#: Of a tokenizer's files, those without which there is none; the others only say how it is used.
VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model", "tokenizer*.tiktoken")
_SETTINGS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template*",
)


def read_tokenizer_files(folder: Path) -> dict[str, bytes]:
    """The files of the tokenizer in an edit's folder by name; empty: it has none."""
    files = [file for file in sorted(folder.iterdir()) if file.is_file()]
    if not any(fnmatch(file.name, pattern) for file in files for pattern in VOCABULARIES):
        return {}
    return {file.name: file.read_bytes() for file in files if is_tokenizer_file(file.name)}


def is_tokenizer_file(name: str) -> bool:
    """Whether a file of this name is part of a tokenizer."""
    return any(fnmatch(name, pattern) for pattern in (*VOCABULARIES, *_SETTINGS))


def put_tokenizer(
    model: LanguageModel,
    files: Mapping[str, bytes],
    tensors: Mapping[str, Tensor],
    undo: ExitStack,
) -> LanguageModel:
    """The model with the tokenizer of these files, and with tables of the size that both need.

    `tensors`: of the edit; where it has whole tables, theirs is the size. New rows are nan: see
    `check_rows`. Raises `ModelError` for a tokenizer that numbers the base's tokens differently or
    has more tokens than the edit's tables have rows, and for none beside tables that need it.
    """
    rows = count_rows(model.module)
    saved = count_saved_rows(tensors, model.module)
    if not files:
        if saved is None:
            return model
        if saved > rows:
            raise ModelError(
                f"an edit whose tables have {saved} rows where {model.identity} has {rows} must "
                "have its tokenizer beside it, got none; copy the tokenizer's files into its "
                "folder, or give the base it was made for (base=, --base)"
            )
        tokenizer = model.tokenizer
    else:
        tokenizer = _parse_tokenizer(files, model.module)
        _check_numbers(tokenizer, model)
    numbers = tokenizer.get_vocab()
    unfit = find_unfit_token(tokenizer, saved or rows)
    if unfit is not None and saved is not None:
        raise ModelError(
            f"the tokenizer beside an edit must have at most the {saved} tokens of the edit's "
            f"tables, {unfit!r} has number {numbers[unfit]}; save the tokenizer that it was "
            "trained with into its folder"
        )
    wanted = saved or (rows if unfit is None else max(numbers.values()) + 1)
    if wanted != rows:
        resize_tables(model, wanted, undo)
    if not files:
        return model
    return replace(
        model, tokenizer=tokenizer, source={**model.source, "pad": set_pad_token(tokenizer, wanted)}
    )


def _parse_tokenizer(
    files: Mapping[str, bytes], module: PreTrainedModel
) -> PreTrainedTokenizerBase:
    with TemporaryDirectory() as place:
        for name, content in files.items():
            Path(place, name).write_bytes(content)
        # old tokenizers do not say their class, which is then that of the model's type
        module.config.to_json_file(Path(place, "config.json"))
        try:
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                place, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise ModelError(
                f"the tokenizer beside an edit must load, got: {reason}; save it again, or take "
                f"its files ({', '.join(files)}) out of the folder to use the base's"
            ) from error
    return tokenizer


def _check_numbers(tokenizer: PreTrainedTokenizerBase, model: LanguageModel) -> None:
    """Raise `ModelError` where a token of the base has another number."""
    base = model.tokenizer.get_vocab()
    for token, number in tokenizer.get_vocab().items():
        if base.get(token, number) != number:
            raise ModelError(
                f"the tokenizer beside an edit must number the tokens of {model.identity} as it "
                f"does, {token!r} has number {number} in place of {base[token]}; give the base it "
                "was made for (base=, --base), or take the tokenizer's files out of the folder to "
                "use the base's"
            )
