"""A model's own unigram: what it expects next, averaged over all places of some texts."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import RecipeError
from equipoise.inference import queries
from equipoise.inference.engine import forward_passes
from equipoise.inference.forward import at_full_speed, logits_at
from equipoise.inference.queries import Plan
from equipoise.inference.scoring import mask_token_id
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.tokenization import Marked
from equipoise.processes.torch_group import sum_all

_LOGITS: Final = 2**25  # elements at a time
_MASKED: Final = 8  # about so many tokens of a text are masked, each in a pass of its own


def mean_prediction(model: LoadedModel, texts: Sequence[str]) -> NDArray[np.float64]:
    """Log of the mean probability of each token, in nats: [vocabulary].

    Of a causal model the mean is over the places of next tokens, of a masked one over some eight
    tokens of each text, each masked in turn. A text that is longer than the model's context is cut.
    Raises `RecipeError` without texts.
    """
    plans = _plans(model, texts)
    ids = [query.ids for plan in plans for query in plan]
    reads = [query.reads for plan in plans for query in plan]
    if not ids:
        raise RecipeError(f"a unigram must be averaged over texts, got {len(texts)}; give some")
    most = max(1, _LOGITS // model.module.config.get_text_config().vocab_size)
    total, places = np.zeros(model.module.config.get_text_config().vocab_size), 0
    with at_full_speed(model.module):
        for forward in forward_passes(
            model, ids, reads, task="unigram", share_rows=True, share=True, most_places=most
        ):
            with forward.batches.retry_smaller():
                logits = logits_at(model.module, forward.rows, forward.places, forward.layout)
                # a place that several texts share counts for each of them
                counts = np.bincount(forward.chosen, minlength=len(logits))
                total = total + counts @ logits.float().softmax(-1).double().cpu().numpy()
                places += len(forward.chosen)
    total, counted = sum_all(total), sum_all(np.array([places]))
    return np.asarray(np.log(total / counted))


def _plans(model: LoadedModel, texts: Sequence[str]) -> list[Plan]:
    """What is read of each text, as far as it fits the model's context."""
    tokenized = queries.tokenize(model, [Marked(text, 0, len(text)) for text in texts])
    limit = model.context_length
    most = (
        max(map(len, (tokens.ids for tokens in tokenized)), default=0) if limit is None else limit
    )
    if model.kind == "masked":
        mask = mask_token_id(model, "a unigram")
        return [
            queries.masked(tokens.ids[:most], _spread(tokens.marked, most), mask)
            for tokens in tokenized
        ]
    start = model.start_token_id
    return [
        queries.causal(tokens.ids, [place for place in tokens.marked if place < most], "bos", start)
        for tokens in tokenized
    ]


def _spread(places: Sequence[int], most: int) -> Sequence[int]:
    """Some of the places within the first `most` tokens, evenly."""
    inside = [place for place in places if place < most]
    return inside[:: max(1, len(inside) // _MASKED)]
