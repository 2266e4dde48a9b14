"""Vectors of texts: what is pooled, and that company and padding do not matter."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from equipoise.errors import ModelError
from equipoise.inference.embedding import embed
from equipoise.models import anatomy
from equipoise.records import Embedding
from equipoise.testing import FAMILIES, tiny_model

TEXTS = ("the nurse said", "a", "an engineer, a longer text than the others", "wörter")


def states(family: str, text: str) -> torch.Tensor:
    """Hidden states of one text with its special tokens, by one plain forward: [token, feature]."""
    model = tiny_model(family, bos="added")
    ids = model.tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        hidden: torch.Tensor = anatomy.base(model.module)(input_ids=ids).last_hidden_state[0]
    return hidden


@pytest.mark.thorough
@pytest.mark.parametrize("family", FAMILIES)
def test_pooling_equals_a_plain_forward(family: str) -> None:
    model = tiny_model(family)
    for text in TEXTS:
        plain = states(family, text).numpy()
        masked = model.kind == "masked"
        text_states = plain[1:-1] if masked else plain[1:]
        mean, last, first = embed(
            model,
            [
                Embedding(text=text),
                Embedding(text=text, pooling="last"),
                Embedding(text=text, pooling="first"),
            ],
        )
        np.testing.assert_allclose(mean, text_states.mean(0), atol=1e-5)
        np.testing.assert_allclose(last, text_states[-1], atol=1e-5)
        np.testing.assert_allclose(first, plain[0] if masked else text_states[0], atol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3", "opt", "bert", "roberta"])
def test_batching_order_and_padding_do_not_matter(family: str) -> None:
    model = tiny_model(family)
    requests = [Embedding(text=text) for text in TEXTS]
    together = embed(model, requests)
    alone = np.concatenate([embed(model, [request]) for request in requests])
    small = embed(replace(model, batch_tokens=1), requests[::-1])[::-1]
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together, small, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_no_pad_token_is_needed(family: str) -> None:
    model = tiny_model(family)
    expected = embed(model, [Embedding(text=text) for text in TEXTS])
    model.tokenizer.pad_token = None
    np.testing.assert_array_equal(embed(model, [Embedding(text=text) for text in TEXTS]), expected)


def test_the_start_token_is_added_once() -> None:
    request = [Embedding(text="the nurse")]
    plain, added = (embed(tiny_model(bos=bos), request) for bos in ("bos", "added"))
    np.testing.assert_array_equal(plain, added)
    assert not np.allclose(plain, embed(tiny_model(bos="none"), request), atol=1e-3)


def test_a_prompt_is_read_but_not_pooled() -> None:
    model = replace(tiny_model(), prompts=("be fair: ",))
    (vector,) = embed(model, [Embedding(text="nurse")])
    whole = states("llama", "be fair: nurse")
    np.testing.assert_allclose(vector, whole[-5:].mean(0).numpy(), atol=1e-5)


def test_no_texts_give_no_rows() -> None:
    assert embed(tiny_model(width=64), []).shape == (0, 64)


def test_too_long_and_empty_texts_are_errors() -> None:
    model = tiny_model(context=8)
    embed(model, [Embedding(text="1234567")])  # with the start token just fits
    with pytest.raises(ModelError, match=r"request 1 .* of tiny-llama@0, 8 tokens, got 9"):
        embed(model, [Embedding(text="a"), Embedding(text="12345678")])
    with pytest.raises(ModelError, match=r"request 0 .* token of its own, got 0 in"):
        embed(model, [Embedding(text="")])


def test_a_vector_that_is_not_finite_is_an_error() -> None:
    model = tiny_model()
    bad = model.tokenizer.convert_tokens_to_ids("!")
    with torch.no_grad():
        anatomy.embeddings(model.module).weight[bad].fill_(float("nan"))
    with pytest.raises(ModelError, match=r"request 1 .* must have a finite embedding, got nan"):
        embed(model, [Embedding(text="abc"), Embedding(text="abc!")])


def test_training_modes_are_restored() -> None:
    model = tiny_model()
    anatomy.block(model.module, 1).train()
    modes = [module.training for module in model.module.modules()]
    embed(model, [Embedding(text="a")])
    assert [module.training for module in model.module.modules()] == modes
    assert any(modes)


def test_the_method_of_the_model_gives_the_same() -> None:
    model = tiny_model()
    request = [Embedding(text="a")]
    np.testing.assert_array_equal(model.embed(request), embed(model, request))
