"""Embedding: texts to one vector each, pooled over the last hidden state."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from equipoise.errors import RequestError
from equipoise.inference import queries
from equipoise.inference.batching import run_in_batches
from equipoise.inference.scoring import the_prompt
from equipoise.models.context import context_length
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.start_token import pad_token_id, start_token_id
from equipoise.models.tokenization import Marked, encode
from equipoise.records import Embedding


def embed(model: LoadedModel, requests: Sequence[Embedding]) -> NDArray[np.float32]:
    """Pooled last hidden states, after the final norm, in float32: [text, feature].

    "mean" and "last" are over the tokens of the text itself: the start token, special tokens and
    the model's prompt are read but not pooled (a start token's state is huge and the same for
    every text). "first" is the state of a masked model's first special token ([CLS]), and of a
    causal model's first token of the text. Texts do not influence each other (float32: 1e-5).
    Raises `ModelError` naming the request that has no token, does not fit the context, or whose
    vector is not finite.
    """
    opening = the_prompt(model)
    texts = [Marked(opening + r.text, len(opening), len(opening + r.text)) for r in requests]
    masked = model.kind == "masked"
    start = None if masked else start_token_id(model.tokenizer)
    front = () if start is None else (start,)
    rows: list[tuple[int, ...]] = []
    pooled: list[list[int]] = []
    for number, tokens in enumerate(encode(model.tokenizer, texts, specials=masked)):
        bare = tokens if masked else queries.without_start(tokens, start)
        own = [len(front) + at for at in bare.marked]
        rows.append((*front, *bare.ids))
        _check(model, number, len(rows[-1]), own)
        at_first = [0] if masked else own[:1]
        pooled.append({"mean": own, "last": own[-1:], "first": at_first}[requests[number].pooling])
    return _vectors(model, rows, pooled)


def _check(model: LoadedModel, number: int, length: int, own: list[int]) -> None:
    limit = context_length(model.module)
    if limit is not None and length > limit:
        raise RequestError(
            number,
            f"must fit the context of {model.identity}, {limit} tokens, got {length}; shorten it "
            "or take a model with a longer context",
        )
    if not own:
        raise RequestError(
            number, f"must have a token of its own, got {len(own)} in {length}; leave it out"
        )


def _vectors(
    model: LoadedModel, rows: list[tuple[int, ...]], pooled: list[list[int]]
) -> NDArray[np.float32]:
    width = int(model.module.config.get_text_config().hidden_size)
    found = np.zeros((len(rows), width), dtype=np.float32)

    def answer(batch: list[int]) -> None:
        hidden = _hidden(model, [rows[number] for number in batch])
        for row, number in enumerate(batch):
            found[number] = hidden[row, pooled[number]].float().mean(0).cpu().numpy()

    run_in_batches(model, [len(row) for row in rows], answer)
    for number, vector in enumerate(found):
        if not np.isfinite(vector).all():
            raise RequestError(
                number,
                f"must have a finite embedding, got {vector[~np.isfinite(vector)][0]} from "
                f"{model.identity}; check the model's weights",
            )
    return found


def _hidden(model: LoadedModel, rows: list[tuple[int, ...]]) -> Float[Tensor, "text token f"]:
    length, pad = max(map(len, rows)), pad_token_id(model.tokenizer)
    device = model.module.device
    ids = torch.tensor([[*row, *[pad] * (length - len(row))] for row in rows], device=device)
    real = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows], device=device)
    # the module below the head: no logits are computed
    states: Tensor = model.module.base_model(input_ids=ids, attention_mask=real).last_hidden_state
    return states
