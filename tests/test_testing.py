"""The tiny models and the fake scorer that everything else is tested with."""

import math

import pytest
import torch

from equipoise.errors import ModelError
from equipoise.models.start_token import start_token
from equipoise.models.tokenization import pad_token_id
from equipoise.records import Continuation, Generation, Infill, NextToken, TextPair
from equipoise.testing import (
    CAUSAL_FAMILIES,
    FAMILIES,
    MASKED_FAMILIES,
    FakeScorer,
    tiny_model,
    tiny_tokenizer,
)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_answers_with_finite_and_varied_logits(family: str) -> None:
    model = tiny_model(family)
    batch = model.tokenizer("the nurse said", return_tensors="pt")
    with torch.no_grad():
        logits = model.module(input_ids=batch["input_ids"]).logits
    assert torch.isfinite(logits).all()
    assert 0.3 < logits.std() < 3
    assert model.kind == ("masked" if family in MASKED_FAMILIES else "causal")


def test_the_families_are_causal_then_masked() -> None:
    assert FAMILIES == CAUSAL_FAMILIES + MASKED_FAMILIES
    assert set(MASKED_FAMILIES) == {"bert", "roberta"}


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert"])
def test_equal_arguments_give_equal_bytes_and_another_seed_does_not(family: str) -> None:
    torch.manual_seed(1)
    first = tiny_model(family, seed=3).module.state_dict()
    torch.manual_seed(2)
    second = tiny_model(family, seed=3).module.state_dict()
    other = tiny_model(family, seed=4).module.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    tiny_model("opt")
    assert torch.equal(torch.rand(1), expected)


def test_sizes_are_as_asked() -> None:
    config = tiny_model("gpt2", blocks=3, width=64, context=40).module.config
    assert (config.n_layer, config.n_embd, config.n_positions) == (3, 64, 40)


def test_unknown_family_suggests_the_nearest() -> None:
    with pytest.raises(ModelError, match="'lama' is not known; did you mean 'llama'"):
        tiny_model("lama")


def test_offsets_are_characters_and_text_comes_back() -> None:
    tokenizer = tiny_tokenizer(bos="added")
    encoded = tokenizer(" wörd", return_offsets_mapping=True)
    assert encoded["offset_mapping"] == [(0, 0), (0, 1), (1, 2), (2, 3), (2, 3), (3, 4), (4, 5)]
    assert encoded["input_ids"][0] == tokenizer.bos_token_id
    assert tokenizer.decode(encoded["input_ids"], skip_special_tokens=True) == " wörd"


def test_masked_tokenizers_mark_the_ends_and_have_a_mask() -> None:
    tokenizer = tiny_tokenizer("masked")
    ids = tokenizer("ab")["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    assert tokenizer("<mask>", add_special_tokens=False)["input_ids"] == [tokenizer.mask_token_id]


@pytest.mark.parametrize(
    ("bos", "rule", "token"),
    [("bos", "bos", "<bos>"), ("added", "bos", "<bos>"), ("eos", "eos", "<eos>")],
)
def test_the_start_token_is_bos_else_eos(bos: str, rule: str, token: str) -> None:
    tokenizer = tiny_tokenizer(bos=bos)  # type: ignore[arg-type]
    start = start_token(tokenizer)
    assert (start.rule, start.id) == (rule, tokenizer.convert_tokens_to_ids(token))


def test_without_bos_and_eos_there_is_no_start_token() -> None:
    tokenizer = tiny_tokenizer(bos="none")
    start = start_token(tokenizer)
    assert (start.rule, start.id) == ("none", None)


def test_without_a_pad_token_rows_are_filled_with_zero() -> None:
    assert pad_token_id(tiny_tokenizer(pad=False)) == 0
    assert pad_token_id(tiny_tokenizer("masked")) == tiny_tokenizer("masked").pad_token_id


def test_the_fake_scorer_is_neutral_by_default() -> None:
    (scored,) = FakeScorer().score([Continuation(context="a", continuation=" two words")])
    assert scored.token_logprobs == (-1.0, -1.0)
    assert scored.bytes == len(" two words")


def test_the_fake_scorer_looks_up_the_whole_text_first_then_the_continuation() -> None:
    fake = FakeScorer(nats={" he": -2.0, "nurse he": -3.0})
    answers = fake.next_token(
        [
            NextToken(context="nurse", words=(" he", " she")),
            NextToken(context="doctor", words=(" he",)),
        ]
    )
    assert [answer.logprobs for answer in answers] == [(-3.0, -1.0), (-2.0,)]


def test_the_fake_scorer_asks_a_function() -> None:
    fake = FakeScorer(nats=lambda context, text: -float(len(context)) - len(text) / 10)
    (pair,) = fake.score_pairs([TextPair(first="aa", second="b", tokens="modified", view="left")])
    (span,) = fake.infill([Infill(text="ab cd", start=3, end=5)])
    assert (pair.first.logprob, pair.second.logprob) == (-0.2, -0.1)
    assert span.logprob == -3.2


def test_fake_scorer_passes_nonfinite_values() -> None:
    fake = FakeScorer(nats={"x": math.nan})
    assert math.isnan(fake.score([Continuation(context="", continuation="x")])[0].logprob)


def test_the_fake_scorer_writes_and_embeds_what_it_was_given() -> None:
    fake = FakeScorer(texts={"once": " upon"}, vectors={"a": (1.0, 2.0)})
    written = fake.generate(
        [Generation(context="once", max_tokens=4), Generation(context="", max_tokens=4)], seed=0
    )
    assert written == [" upon", ""]
    assert fake.variants() == (fake,)
