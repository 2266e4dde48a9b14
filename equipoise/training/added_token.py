"""A token added to a model: its number, the vectors it begins with, and its form as an adapter.

What a training of `token_row` begins with, and what it ends in: PEFT's trainable tokens, with the
grown tokenizer beside them.
"""

import copy
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float
from tokenizers import AddedToken
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from equipoise.edits.adapter import sits_on
from equipoise.edits.token_tables import PREFIX, count_rows, table_names
from equipoise.edits.tokenizer import put_tokenizer, read_tokenizer_files
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON
from equipoise.training.token_row import is_tied

_FEWEST = 5  # names of one token, of which a mean is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that a tokenizer has been given."""

    name: str
    id: int
    tokenizer: PreTrainedTokenizerBase  # a copy of the model's, with it
    files: dict[str, bytes]  # of that tokenizer, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class StartVectors:
    """What a token's vectors begin with: means over rows of the model's own tables."""

    vector: Float[Tensor, " width"]  # float32
    vector_out: Float[Tensor, " width"] | None  # None: the tables are one
    names: tuple[str, ...]  # whose rows; of a mean over all rows none
    pieces: bool  # too few names are a token, so each counts as the mean of its pieces

    @property
    def predicting(self) -> Float[Tensor, " width"]:
        """That which the token is predicted with."""
        return self.vector if self.vector_out is None else self.vector_out


def add_token(model: LanguageModel, name: str) -> NewToken:
    """The model's tokenizer with a further token; the model's own is left as it is.

    A space before the token is part of it ("from <X>" has no token of a space alone), so that a
    text that is decoded has none there. Line breaks before it go the same way.
    Raises `RecipeError` for a name that is empty, has space at its ends, or is a token already.
    """
    tokenizer = copy.deepcopy(model.tokenizer)
    known = tokenizer.get_vocab()
    if not name or name != name.strip():
        raise RecipeError(
            f"a token must have a name without space at its ends, got {name!r}; take another"
        )
    if name in known:
        raise RecipeError(
            f"a token must be new to {model.identity}, '{name}' has number {known[name]}; take "
            "another name"
        )
    tokenizer.add_tokens([AddedToken(name, lstrip=True, normalized=False, special=False)])
    number = int(tokenizer.convert_tokens_to_ids(name))
    if number in known.values() or number > count_rows(model.module):
        raise RecipeError(
            f"a new token must have the next free row of the tables, '{name}' has number {number} "
            f"where {model.identity} has {count_rows(model.module)} rows and {len(known)} tokens; "
            "resize the model to its tokenizer first (resize_token_embeddings)"
        )
    saved = copy.deepcopy(tokenizer)
    if model.source.get("pad") == "eos":
        saved.pad_token = None  # eos was lent to it when it was loaded
    with TemporaryDirectory() as place:
        saved.save_pretrained(place)
        files = read_tokenizer_files(Path(place))
    return NewToken(name=name, id=number, tokenizer=tokenizer, files=files)


def start_vectors(model: LanguageModel, names: Iterable[str] | None) -> StartVectors:
    """The mean of the rows of names, such as countries; of None the mean of all rows.

    A name counts once: as the token that it is behind a space, or else by itself. With fewer than 5
    such names each name counts as the mean of its tokens' rows behind a space. Of an untied model
    each table has the mean of its own rows of the same tokens.
    Raises `RecipeError` when there are no names.
    """
    embeddings = model.module.get_input_embeddings().weight.detach()
    head = model.module.get_output_embeddings().weight.detach()
    used: dict[str, list[int]] = {}
    pieces = False
    if names is not None:
        listed = tuple(names)
        if not listed:
            raise RecipeError(
                f"a token must begin as the mean of some names, got {listed}; give some, or begin "
                "with the mean of all tokens"
            )
        used = {name: [id] for name, id in single_tokens(model, listed).items()}
        if pieces := len(used) < _FEWEST:
            used = {name: _tokens(model, f" {name}") for name in listed}

    def mean(table: Tensor) -> Tensor:
        if not used:
            return table[: len(model.tokenizer)].float().mean(0)  # the rest is padding
        return torch.stack([table[ids].float().mean(0) for ids in used.values()]).mean(0)

    return StartVectors(
        vector=mean(embeddings),
        vector_out=None if is_tied(model) else mean(head),
        names=tuple(used),
        pieces=pieces,
    )


def single_tokens(model: LanguageModel, names: Iterable[str]) -> dict[str, int]:
    """The names that are a single token, behind a space or else by themselves."""
    single: dict[str, int] = {}
    for name in names:
        for text in (f" {name}", name):
            ids = _tokens(model, text)
            if len(ids) == 1:
                single.setdefault(name, ids[0])
    return single


def _tokens(model: LanguageModel, text: str) -> list[int]:
    return [int(id) for id in model.tokenizer.encode(text, add_special_tokens=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAdapter:
    """A token's row as PEFT's trainable tokens, for a model of this kind."""

    config: dict[str, JSON]  # adapter_config.json
    modules: tuple[str, ...]  # whose tables have the row
    sits_on: tuple[str, ...]  # names of the tables' weights

    def tensors(self, vector: Tensor, vector_out: Tensor) -> dict[str, Tensor]:
        """The adapter's tensors: the token's rows in float32, each [1, width]."""
        rows = zip(self.modules, (vector, vector_out), strict=True)
        return {
            f"{PREFIX}{name}.trainable_tokens_delta": row.detach().float().cpu()[None].clone()
            for name, row in rows
        }


def token_adapter(model: LanguageModel, token: NewToken, undo: ExitStack) -> TokenAdapter:
    """How this token is an adapter; until `undo` the model has the token and tables for it."""
    grown = put_tokenizer(model, token.files, {}, undo)
    modules = tuple(name.removesuffix(".weight") for name in table_names(model.module))
    config: dict[str, JSON] = {
        "peft_type": "TRAINABLE_TOKENS",
        "task_type": "CAUSAL_LM",
        # PEFT itself puts a tied output layer beside the embeddings
        "target_modules": list(modules[:1] if is_tied(model) else modules),
        "token_indices": [token.id],
    }
    return TokenAdapter(config=config, modules=modules, sits_on=sits_on(grown, config))
