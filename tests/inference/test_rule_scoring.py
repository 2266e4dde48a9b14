"""Scoring and generating through a decoding rule: as an obvious loop would, and alike."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from plain_scoring import next_distributions
from torch import Tensor
from toy_tokenizers import KINDS, toy_model

from equipoise.decoding.counterfactual_rule import Counterfactual
from equipoise.decoding.mixture import Mean
from equipoise.decoding.self_debias_rule import SelfDebiasing
from equipoise.decoding.word_weights_rule import WordWeights
from equipoise.errors import ModelError
from equipoise.group_words.word_lists import read_word_lists
from equipoise.inference import generation as generating
from equipoise.inference import rule_scoring as adjusted_reading
from equipoise.inference.forward import Layout
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.queries import LIKELIEST, Query
from equipoise.inference.rule_scoring import read_through_rule
from equipoise.models.decoding_rule import DecodingRule
from equipoise.models.tokenization import Marked, encode
from equipoise.records import Continuation, Generation, NextToken, TextPair
from equipoise.testing import tiny_model

DEBIASING = SelfDebiasing(prefixes=("Text that treats people badly here:", "His text:"))
FAIR = Counterfactual(
    lists=read_word_lists(None, ["gender"]),
    mixture=Mean(alpha=0.9),
)
WEIGHTS = WordWeights(weights=(("nurse", 1.5), ("bag", -0.7), ("kind", 0.4)))
RULES = pytest.mark.parametrize(
    "decoding_rule", [DEBIASING, FAIR, WEIGHTS], ids=["self_debias", "cafie", "word_table"]
)
TEXTS = ("The man saw her bag and was kind .", "The nurse was tall .", "She took his bag .", "He")


def double(model: LanguageModel) -> LanguageModel:
    """In float64, so that only mistakes differ."""
    return replace(model, module=model.module.double())


@torch.no_grad()
def logprobs(model: LanguageModel, ids: Sequence[int]) -> Tensor:
    """After these ids and the start token, by one forward pass of its own."""
    row = torch.tensor([[model.tokenizer.bos_token_id, *ids]])
    distribution: Tensor = model.module(input_ids=row).logits[0, -1].double().log_softmax(-1)
    return distribution


def ids_of(model: LanguageModel, text: str) -> list[int]:
    return list(model.tokenizer.encode(text, add_special_tokens=False))


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_self_debiasing_equals_the_plain_loop(family: str) -> None:
    model = double(replace(tiny_model(family), decoding_rule=DEBIASING))
    text = "The man"
    ids = ids_of(model, text)
    expected = []
    for index, token in enumerate(ids):
        rows = [
            logprobs(model, [*front, *ids[:index]])
            for front in ([], *(ids_of(model, f"{prefix} ") for prefix in DEBIASING.prefixes))
        ]
        expected.append(float(DEBIASING.adjusted(torch.stack(rows)[:, None])[0, token]))
    (scored,) = model.score([Continuation(context="", continuation=text)])
    assert scored.token_logprobs == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_counterfactual_scoring_equals_the_plain_loop(kind: str) -> None:
    model = double(replace(toy_model(kind), decoding_rule=FAIR))
    (scored,) = model.score([Continuation(context="The man saw the", continuation=" bag")])
    context, counterfactual = (ids_of(model, f"The {who} saw the") for who in ("man", "woman"))
    ids = ids_of(model, "The man saw the bag")
    expected = []
    for token, index in zip(ids[len(context) :], range(len(context), len(ids)), strict=True):
        rows = [
            logprobs(model, [*front, *ids[len(context) : index]])
            for front in (context, counterfactual)
        ]
        expected.append(float(FAIR.adjusted(torch.stack(rows)[:, None])[0, token]))
    assert scored.token_logprobs == pytest.approx(expected, abs=1e-6)


@pytest.mark.thorough
@RULES
@pytest.mark.parametrize("kind", KINDS)
def test_every_distribution_sums_to_one(kind: str, decoding_rule: DecodingRule) -> None:
    model = replace(toy_model(kind), decoding_rule=decoding_rule)
    distributions = next_distributions(model, TEXTS)
    assert torch.allclose(distributions.exp().sum(-1), torch.ones(len(TEXTS)), atol=1e-6)
    assert bool(torch.isfinite(distributions).all())


@pytest.mark.thorough
@RULES
@pytest.mark.parametrize("kind", KINDS)
def test_generation_draws_from_the_scored_distribution(
    kind: str, decoding_rule: DecodingRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = double(replace(toy_model(kind), decoding_rule=decoding_rule))
    first_logprobs: dict[int, Tensor] = {}
    honest = generating._choose

    def watched(logits: list[Tensor], writers: Any) -> list[int]:
        for row, writer in zip(logits, writers, strict=True):
            if not writer.written and not writer.stopped:
                first_logprobs[writer.index] = row.log_softmax(-1)
        return honest(logits, writers)

    monkeypatch.setattr(generating, "_choose", watched)
    requests = [
        Generation(context=context, max_tokens=3 + index) for index, context in enumerate(TEXTS)
    ]
    model.generate(requests, seed=0)
    for index, expected in enumerate(next_distributions(model, TEXTS)):
        assert torch.allclose(first_logprobs[index], expected, atol=1e-6)


@pytest.mark.thorough
@RULES
def test_batching_and_order_of_scored_texts_do_not_matter(decoding_rule: DecodingRule) -> None:
    model = double(replace(toy_model("words"), decoding_rule=decoding_rule))
    requests = [Continuation(context="", continuation=text) for text in TEXTS]
    together = model.score(requests)
    apart = replace(model, batch_tokens=1)
    for request, scored in zip(requests, together, strict=True):
        assert apart.score([request])[0].token_logprobs == pytest.approx(
            scored.token_logprobs, abs=1e-6
        )
    backwards = apart.score(requests[::-1])[::-1]
    for backward, scored in zip(backwards, together, strict=True):
        assert backward.token_logprobs == pytest.approx(scored.token_logprobs, abs=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@RULES
def test_batching_and_order_of_written_texts_do_not_matter(
    decoding_rule: DecodingRule, temperature: float
) -> None:
    model = double(replace(toy_model("words"), decoding_rule=decoding_rule))
    writing = [
        Generation(context=context, max_tokens=4 + index, temperature=temperature)
        for index, context in enumerate(TEXTS)
    ]
    texts = model.generate(writing, seed=1)
    apart = replace(model, batch_tokens=1)
    assert texts == apart.generate(writing[::-1], seed=1)[::-1]
    assert texts == [model.generate([request], seed=1)[0] for request in writing]


@pytest.mark.thorough
def test_generated_words_change_the_counterfactual_contexts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is drawn from after each written word is what scoring reads there."""
    model = double(replace(toy_model("words"), decoding_rule=FAIR))
    rows: list[Tensor] = []
    lines = ("man", "saw", "her", "bag", "and")
    planned = iter([ids_of(model, line)[0] for line in lines])

    def forced(logits: list[Tensor], _: Any) -> list[int]:
        rows.append(logits[0].log_softmax(-1))
        return [next(planned)]

    monkeypatch.setattr(generating, "_choose", forced)
    model.generate([Generation(context="The", max_tokens=len(lines))], seed=0)
    contexts = [" ".join(("The", *lines[:index])) for index in range(len(lines))]
    expected = next_distributions(model, contexts)
    plain = next_distributions(replace(model, decoding_rule=None), contexts)
    for index, (row, expected_row) in enumerate(zip(rows, expected, strict=True)):
        assert torch.allclose(row, expected_row, atol=1e-6)
        assert torch.allclose(expected_row, plain[index], atol=1e-6) == (index == 0)


@pytest.mark.thorough
@RULES
@pytest.mark.parametrize("prefix", ["bos", "ref_gpt2", "none"])
def test_every_prefix_policy_scores_as_many_tokens_as_without_a_rule(
    prefix: Any, decoding_rule: DecodingRule
) -> None:
    model = toy_model("words")
    requests = [Continuation(context="", continuation=text, prefix=prefix) for text in TEXTS]
    plain, adjusted = (
        model.score(requests),
        replace(model, decoding_rule=decoding_rule).score(requests),
    )
    assert [scored.tokens for scored in adjusted] == [scored.tokens for scored in plain]
    assert adjusted != plain


@pytest.mark.thorough
@RULES
def test_every_kind_of_request_agrees_with_the_distribution(
    decoding_rule: DecodingRule,
) -> None:
    model = double(replace(toy_model("words"), decoding_rule=decoding_rule))
    context = "The man said that"
    (row,) = next_distributions(model, [context])
    words = (" he", " she")
    (scored,) = model.next_token([NextToken(context=context, words=words)])
    ids = [ids_of(model, word)[0] for word in words]
    assert scored.logprobs == pytest.approx(row[ids].tolist(), abs=1e-6)
    (coded,) = encode(model.tokenizer, [Marked(context, 0, 0)], specials=False)
    query = Query((model.tokenizer.bos_token_id, *coded.ids), ((len(coded.ids), LIKELIEST),))
    ((most,),) = read_through_rule(model, decoding_rule, [(query,)], [coded], task="test")
    assert most == pytest.approx(float(row.max()), abs=1e-6)
    requests = [Continuation(context=context, continuation=" he", greedy=True)]
    assert model.score(requests)[0].greedy is (int(row.argmax()) == ids[0])
    pair = TextPair(
        first="The man was tall .", second="The nurse was tall .", tokens="unmodified", view="left"
    )
    (both,) = model.score_pairs([pair])
    (whole,) = model.score([Continuation(context="", continuation="The man was tall .")])
    shared = [whole.token_logprobs[index] for index in (0, 2, 3, 4)]
    assert both.first.token_logprobs == pytest.approx(shared, abs=1e-6)


@pytest.mark.thorough
def test_texts_without_group_words_are_unchanged() -> None:
    model = double(toy_model("words"))
    requests = [
        Continuation(context="", continuation=text) for text in (*TEXTS, "The bag was tall .")
    ]
    plain, adjusted = model.score(requests), replace(model, decoding_rule=FAIR).score(requests)
    for index in (1, 3, 4):  # nobody is named before the last token
        assert adjusted[index].token_logprobs == pytest.approx(
            plain[index].token_logprobs, abs=1e-6
        )
    assert adjusted[0].token_logprobs[:2] == pytest.approx(plain[0].token_logprobs[:2], abs=1e-6)
    assert abs(adjusted[0].token_logprobs[2] - plain[0].token_logprobs[2]) > 1e-3
    alone = [requests[index] for index in (1, 3, 4)]
    assert replace(model, decoding_rule=FAIR).score(alone) == model.score(alone)  # bit for bit


@pytest.mark.thorough
@pytest.mark.parametrize(
    "decoding_rule",
    [
        replace(DEBIASING, decay=0.0),
        replace(DEBIASING, prefixes=()),
        replace(FAIR, mixture=Mean(alpha=0.0)),
        replace(FAIR, counterfactuals=0),
    ],
)
def test_a_neutral_decoding_rule_changes_no_bit(decoding_rule: DecodingRule) -> None:
    model = toy_model("bytes")
    neutral = replace(model, decoding_rule=decoding_rule)
    requests = [Continuation(context="", continuation=text) for text in TEXTS]
    writing = [Generation(context="The man", max_tokens=6, temperature=1.0)]
    assert neutral.score(requests) == model.score(requests)
    assert neutral.generate(writing, seed=3) == model.generate(writing, seed=3)
    assert torch.equal(next_distributions(neutral, TEXTS), next_distributions(model, TEXTS))


@pytest.mark.thorough
@RULES
def test_without_gathering_the_scores_are_the_same(
    decoding_rule: DecodingRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = replace(toy_model("words"), decoding_rule=decoding_rule)
    requests = [Continuation(context="", continuation=text) for text in TEXTS]
    expected = model.score(requests)
    plain = Layout(pack=False, gather=False)
    monkeypatch.setattr("equipoise.inference.engine.layout_of", lambda _: plain)
    for scored, reference in zip(model.score(requests), expected, strict=True):
        assert scored.token_logprobs == pytest.approx(reference.token_logprobs, abs=1e-5)


@pytest.mark.thorough
def test_small_chunks_give_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    model = double(replace(toy_model("words"), decoding_rule=DEBIASING))
    requests = [Continuation(context="", continuation=text) for text in TEXTS]
    expected = model.score(requests)
    for name in ("_STATES", "_LOGITS", "_CHUNK"):
        monkeypatch.setattr(adjusted_reading, name, 1)
    for scored, reference in zip(model.score(requests), expected, strict=True):
        assert scored.token_logprobs == pytest.approx(reference.token_logprobs, abs=1e-6)


def test_a_text_that_does_not_fit_with_its_prefix_is_an_error() -> None:
    model = replace(toy_model("bytes"), decoding_rule=DEBIASING)
    short, long = (Continuation(context="", continuation="a" * size) for size in (10, 110))
    with pytest.raises(ModelError, match=r"request 1 .*128 tokens, got 14"):
        model.score([short, long])
    with pytest.raises(ModelError, match=r"request 0 .* must fit the context"):
        model.generate([Generation(context="a" * 90, max_tokens=20)], seed=0)


@pytest.mark.thorough
def test_a_logprob_that_is_not_finite_names_its_request() -> None:
    model = replace(toy_model("words"), decoding_rule=DEBIASING)
    token = ids_of(model, "gender")[0]
    with torch.no_grad():
        model.module.get_input_embeddings().weight[token] = torch.nan
    requests = [
        Continuation(context="", continuation=text) for text in ("The man was", "the gender is")
    ]
    with pytest.raises(ModelError, match=r"request 1 .* finite"):
        model.score(requests)
