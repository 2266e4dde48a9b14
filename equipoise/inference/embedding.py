"""Embedding: a vector for each text, pooled over the last hidden state."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from equipoise.errors import RequestError
from equipoise.inference import queries
from equipoise.inference.batches import run_in_batches
from equipoise.inference.forward import pad
from equipoise.inference.prompting import before_text
from equipoise.inference.scoring import the_prompt
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.tokenization import Ids, Marked, pad_token_id
from equipoise.processes.torch_group import join_rows
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
    prompt = before_text(the_prompt(model))
    texts = [
        Marked(prompt + request.text, len(prompt), len(prompt + request.text))
        for request in requests
    ]
    masked = model.kind == "masked"
    start = None if masked else model.start_token_id
    front: Ids = () if start is None else (start,)
    limit = model.context_length
    rows: list[Ids] = []
    pooled: list[Sequence[int]] = []  # positions of each row
    for index, tokens in enumerate(queries.tokenize(model, texts)):
        row = front + tokens.ids
        if limit is not None and len(row) > limit:
            raise RequestError(
                index,
                f"must fit the context of {model.identity}, {limit} tokens, got {len(row)}; "
                "shorten it or take a model with a longer context",
            )
        inside = [len(front) + position for position in tokens.marked]
        if not inside:
            raise RequestError(
                index, f"must have a token of its own, got 0 in {len(row)}; leave it out"
            )
        first = [0] if masked else inside[:1]
        choice = {"mean": inside, "last": inside[-1:], "first": first}
        rows.append(row)
        pooled.append(choice[requests[index].pooling])
    if model.rehearsing:
        return np.zeros((len(rows), 1), dtype=np.float32)
    return _pool(model, rows, pooled)


def _pool(
    model: LoadedModel, rows: Sequence[Ids], pooled: Sequence[Sequence[int]]
) -> NDArray[np.float32]:
    """Mean hidden state over the pooled positions of each row."""
    module = model.module
    width = int(module.config.get_text_config().hidden_size)
    vectors = np.zeros((len(rows), width), dtype=np.float32)

    def run(batch: list[int]) -> None:
        ids, real = pad([rows[index] for index in batch], pad_token_id(model.tokenizer))
        inputs = {
            "input_ids": ids.to(module.device),
            "attention_mask": real.long().to(module.device),
        }
        # the module below the head: no logits are computed
        hidden: Tensor = module.base_model(**inputs).last_hidden_state
        for row, index in enumerate(batch):
            vectors[index] = hidden[row, pooled[index]].float().mean(0).cpu().numpy()

    join_rows(vectors, run_in_batches(model, list(map(len, rows)), run, share=True))
    for index, vector in enumerate(vectors):
        if not np.isfinite(vector).all():
            raise RequestError(
                index,
                f"must have a finite embedding, got {vector[~np.isfinite(vector)][0]} from "
                f"{model.identity}; check the model's weights",
            )
    return vectors
