"""A model's own unigram: the mean of what it expects, and the model that answers with it."""

import numpy as np
import pytest
import torch

from equipoise.errors import RecipeError
from equipoise.inference.unigram import mean_prediction
from equipoise.records import Continuation, Infill, NextToken, TextPair
from equipoise.testing import tiny_model

FAMILY = {"causal": "llama", "masked": "bert"}
TEXTS = ("The lamp was green.", "Rain fell on the old roof for most of the night.")


def _plain_mean(kind: str) -> np.ndarray:
    """A loop over texts and places, one forward pass each."""
    model = tiny_model(FAMILY[kind])
    rows = []
    for text in TEXTS:
        ids = model.tokenizer(text, add_special_tokens=kind == "masked")["input_ids"]
        special = set(model.tokenizer.all_special_ids) if kind == "masked" else set()
        places = [k for k, token in enumerate(ids) if token not in special]
        for place in places[:: len(places) // 8] if kind == "masked" else places:
            if kind == "masked":
                fed, read = [*ids[:place], model.tokenizer.mask_token_id, *ids[place + 1 :]], place
            else:
                fed, read = [model.start_token_id, *ids[:place]], place
            with torch.inference_mode():
                logits = model.module(input_ids=torch.tensor([fed])).logits[0, read]
            rows.append(logits.double().softmax(-1).numpy())
    return np.log(np.mean(rows, axis=0))


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_it_is_the_mean_over_all_places(kind: str) -> None:
    mean = mean_prediction(tiny_model(FAMILY[kind]), TEXTS)
    assert np.exp(mean).sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(mean, _plain_mean(kind), atol=1e-5)


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_texts_are_cut_to_the_context(kind: str) -> None:
    mean = mean_prediction(tiny_model(FAMILY[kind], context=24), TEXTS)
    assert np.exp(mean).sum() == pytest.approx(1.0, abs=1e-5)


def test_contexts_do_not_matter_to_it() -> None:
    model = tiny_model().as_unigram(TEXTS)
    words = (" he", " she")
    first, second = model.next_token(
        [NextToken(context=context, words=words) for context in ("The nurse said", "Rain")]
    )
    assert first == second
    one, other = model.score(
        [Continuation(context=context, continuation=" lamp") for context in ("The", "Some old")]
    )
    assert one == other


def test_every_kind_of_reading_is_answered() -> None:
    causal, masked = (tiny_model(FAMILY[kind]).as_unigram(TEXTS) for kind in ("causal", "masked"))
    pair = TextPair(first="The lamp.", second="The roof.", tokens="modified", view="both")
    assert masked.score_pairs([pair])[0].first.tokens > 0
    assert masked.infill([Infill(text="The lamp.", start=4, end=8)])[0].tokens > 0
    (greedy,) = causal.score([Continuation(context="The", continuation=" lamp", greedy=True)])
    assert greedy.greedy is False


def test_without_texts_there_is_no_mean() -> None:
    with pytest.raises(RecipeError, match="must be averaged over texts, got 0"):
        mean_prediction(tiny_model(), ())
