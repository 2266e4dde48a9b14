"""The engine against a slow reference, on every family; and against probabilities known by hand."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_scoring import coded, continuation, framed, log_softmax, pseudo, revealed
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from equipoise.errors import ModelError
from equipoise.fakes import Start
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Continuation, Generation, Infill, NextToken, Prefix, Scored
from equipoise.testing import CAUSAL_FAMILIES, MASKED_FAMILIES, tiny_model, tiny_tokenizer

TEXTS = [
    ("", "Ann wrote"),
    ("Ann wrote", " a letter"),
    ("Ann wrote", " a book"),
    ("Ann wrote", " a book"),
    ("Ann wrote a long story of the sea,", " and nobody read it"),
    ("", "Zoé — naïve"),
    ("", "x"),
]
POLICIES: tuple[Prefix, ...] = ("bos", "ref_gpt2", "none")
REQUESTS = [
    Continuation(context=context, continuation=text, prefix=prefix)
    for context, text in TEXTS
    for prefix in POLICIES
]


def agree(scores: list[Scored], expected: list[list[float]]) -> None:
    """To 1e-5 nats a token."""
    for scored, values in zip(scores, expected, strict=True):
        assert scored.token_logprobs == pytest.approx(values, rel=0, abs=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_continuations_equal_the_plain_loop(family: str) -> None:
    model = tiny_model(family)
    expected = [
        continuation(model, request.context, request.continuation, request.prefix)
        for request in REQUESTS
    ]
    agree(model.score(REQUESTS), expected)
    agree(model.score(REQUESTS[::-1])[::-1], expected)
    agree([model.score([request])[0] for request in REQUESTS], expected)


@pytest.mark.thorough
@pytest.mark.parametrize("family", MASKED_FAMILIES)
def test_masked_models_equal_the_plain_loop(family: str) -> None:
    model = tiny_model(family)
    requests = [Continuation(context=a, continuation=b) for a, b in TEXTS[:5]]
    expected = [
        pseudo(model, request.context + request.continuation, list(range(start, start + size)))
        for request in requests
        for start, size in [(len(request.context), len(request.continuation))]
    ]
    agree(model.score(requests), expected)
    spans = [Infill(text="a man ran far", start=2, end=5), Infill(text="a cat", start=2, end=5)]
    agree(model.infill(spans), [revealed(model, span.text, span.start, span.end) for span in spans])


@pytest.mark.thorough
@pytest.mark.parametrize("bos", ["bos", "added", "eos", "none"])
def test_there_is_one_start_token_or_none(bos: str) -> None:
    model = tiny_model("llama", bos=bos)
    agree(
        model.score(REQUESTS),
        [
            continuation(model, request.context, request.continuation, request.prefix)
            for request in REQUESTS
        ],
    )


@pytest.mark.parametrize("bos", ["bos", "added", "eos", "none"])
def test_the_tokenizers_own_start_token(bos: Start) -> None:
    model = tiny_model("llama", bos=bos)
    requests = [Continuation(context=a, continuation=b, prefix="own") for a, b in TEXTS]
    rules: list[Prefix] = ["bos" if bos == "added" or not a else "none" for a, _ in TEXTS]
    alike = [
        Continuation(context=request.context, continuation=request.continuation, prefix=rule)
        for request, rule in zip(requests, rules, strict=True)
    ]
    assert model.score(requests) == model.score(alike)


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "bert"])
def test_greedy_flags_equal_the_plain_argmax(family: str) -> None:
    model = tiny_model(family)
    texts = [" a book", " a", "!"] + [chr(code) for code in range(97, 123)]
    requests = [Continuation(context="Ann wrote", continuation=text, greedy=True) for text in texts]
    plain = [replace(request, greedy=False) for request in requests]
    scores = model.score([*requests, *plain])  # both kinds in one call
    assert [scored.token_logprobs for scored in scores[: len(texts)]] == [
        scored.token_logprobs for scored in scores[len(texts) :]
    ]
    assert {scored.greedy for scored in scores[len(texts) :]} == {None}
    expected = [_is_greedy(model, "Ann wrote", text) for text in texts]
    assert [scored.greedy for scored in scores[: len(texts)]] == expected


@pytest.mark.thorough
def test_a_greedy_generation_is_greedy() -> None:
    model = tiny_model("llama")
    contexts = [f"Ann {number}" for number in range(40)]
    texts = model.generate(
        [Generation(context=context, max_tokens=2) for context in contexts], seed=0
    )
    written = [
        (context, text) for context, text in zip(contexts, texts, strict=True) if text.isascii()
    ]
    assert written
    for context, text in written:
        other = text[0] + ("a" if text[1:] != "a" else "b")
        requests = [
            Continuation(context=context, continuation=e, greedy=True) for e in (text, other)
        ]
        assert [scored.greedy for scored in model.score(requests)] == [True, False]


def _is_greedy(model: LanguageModel, context: str, text: str) -> bool:
    """By the whole row of probabilities at each place, one text at a time."""
    before, ids = coded(model, context), coded(model, context + text)
    if model.kind == "causal":
        table = log_softmax(model, [model.tokenizer.bos_token_id, *ids])
        return all(
            int(table[index].argmax()) == ids[index] for index in range(len(before), len(ids))
        )
    whole, good = framed(model, context + text), True
    for index in range(len(before) + 1, len(ids) + 1):
        masked = [*whole[:index], model.tokenizer.mask_token_id, *whole[index + 1 :]]
        good &= int(log_softmax(model, masked)[index].argmax()) == whole[index]
    return good


@pytest.mark.thorough
@given(st.permutations(range(len(REQUESTS))), st.sampled_from([1, 64, 4096]))
@settings(max_examples=10, deadline=None)
def test_batching_and_order_do_not_matter(order: list[int], batch_tokens: int) -> None:
    model = replace(tiny_model("gpt2", blocks=1), batch_tokens=batch_tokens)
    expected = [list(scored.token_logprobs) for scored in model.score(REQUESTS)]
    scores = model.score([REQUESTS[index] for index in order])
    agree(scores, [expected[index] for index in order])


@pytest.mark.parametrize("family", ["gemma2", "gemma3"])
def test_texts_longer_than_the_attention_window_equal_the_plain_loop(family: str) -> None:
    model = tiny_model(family)  # its window is 16 tokens
    context = "once upon a time there was a "
    requests = [
        Continuation(context=context, continuation=text) for text in ("fox", "frog", "king")
    ]
    agree(
        model.score(requests),
        [continuation(model, context, request.continuation, "bos") for request in requests],
    )


@pytest.mark.thorough
def test_bfloat16_weights_are_summed_in_float32() -> None:
    model = tiny_model("llama")
    rounded = replace(model, module=tiny_model("llama").module.bfloat16())
    for full, half in zip(model.score(REQUESTS), rounded.score(REQUESTS), strict=True):
        assert full.token_logprobs == pytest.approx(half.token_logprobs, abs=0.3)
    assert rounded.info["dtype"] == "bfloat16"


# --- known probabilities ------------------------------------------------------------------------


class _BigramConfig(PreTrainedConfig):
    model_type = "bigram"


class _Bigram(PreTrainedModel):
    """Each token's probabilities depend on the one before it alone, and are known."""

    config_class = _BigramConfig

    def __init__(self, table: Tensor) -> None:
        super().__init__(_BigramConfig(vocab_size=len(table)))
        self.table = torch.nn.Parameter(table.log(), requires_grad=False)
        self.post_init()

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> CausalLMOutput:
        assert not use_cache
        return CausalLMOutput(logits=self.table[input_ids])


def bigram(bos: str = "bos") -> LanguageModel:
    """P(a|start) = 1/2, P(b|start) = 1/8, P(b|a) = 1/4, P(c|b) = 1/16; the rest is even."""
    tokenizer = tiny_tokenizer(bos=bos)
    a, b, c = (tokenizer.convert_tokens_to_ids(letter) for letter in "abc")
    start = tokenizer.convert_tokens_to_ids("<bos>" if bos != "eos" else "<eos>")
    table = torch.zeros(len(tokenizer), len(tokenizer), dtype=torch.float64)
    for before, after, chance in (
        (start, a, 1 / 2),
        (start, b, 1 / 8),
        (a, b, 1 / 4),
        (b, c, 1 / 16),
    ):
        table[before, after] = chance
    for row in table:
        row[row == 0] = (1 - row.sum()) / (row == 0).sum()
    return LanguageModel(
        module=_Bigram(table.float()).eval(), tokenizer=tokenizer, identity="bigram"
    )


def nats(*chances: float) -> list[float]:
    return [math.log(chance) for chance in chances]


@pytest.mark.parametrize("bos", ["bos", "added", "eos"])
@pytest.mark.parametrize(
    ("prefix", "chances"),
    [
        ("bos", (1 / 2, 1 / 4, 1 / 16)),
        ("ref_gpt2", (1 / 2, 1 / 4, 1 / 16)),
        ("none", (1 / 4, 1 / 16)),
    ],
)
def test_known_probabilities_of_a_whole_text(bos: str, prefix: Prefix, chances: tuple) -> None:
    (scored,) = bigram(bos).score([Continuation(context="", continuation="abc", prefix=prefix)])
    assert scored.token_logprobs == pytest.approx(nats(*chances), abs=1e-6)
    assert scored.bytes == len(chances)
    assert scored.logprob == pytest.approx(math.log(math.prod(chances)), abs=1e-6)


@pytest.mark.thorough
def test_known_probabilities_of_a_continuation_and_of_words() -> None:
    (scored,) = bigram().score([Continuation(context="a", continuation="bc", prefix="none")])
    assert scored.token_logprobs == pytest.approx(nats(1 / 4, 1 / 16), abs=1e-6)
    (words,) = bigram().next_token([NextToken(context="a", words=("b", "bc"))])
    assert words.logprobs == pytest.approx(nats(1 / 4, 1 / 64), abs=1e-6)
    assert words.tokens == (1, 2)
    (first,) = bigram().next_token([NextToken(context="", words=("a", "b"))])
    assert first.logprobs == pytest.approx(nats(1 / 2, 1 / 8), abs=1e-6)


def test_without_a_start_token_the_first_token_is_not_scored() -> None:
    (scored,) = bigram("none").score([Continuation(context="", continuation="abc")])
    assert scored.token_logprobs == pytest.approx(nats(1 / 4, 1 / 16), abs=1e-6)
    (alone,) = bigram("none").score([Continuation(context="", continuation="a")])
    assert (alone.tokens, alone.bytes) == (0, 0)
    assert math.isnan(alone.logprob)


@pytest.mark.thorough
def test_a_prompt_stands_before_every_context() -> None:
    model = replace(bigram(), prompts=("a",))
    (scored,) = model.score([Continuation(context="", continuation="bc")])
    assert scored.token_logprobs == pytest.approx(nats(1 / 4, 1 / 16), abs=1e-6)
    masked = replace(tiny_model("bert"), prompts=("so ",))
    (span,) = masked.infill([Infill(text="a man", start=2, end=5)])
    assert list(span.token_logprobs) == pytest.approx(revealed(masked, "so a man", 5, 8), abs=1e-5)


# --- next tokens --------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_words_after_a_context_equal_their_continuations(family: str) -> None:
    model = tiny_model(family)
    requests = [
        NextToken(context=text, words=(" he", " she", "!")) for text in ("The cook said", "A")
    ]
    for request, scored in zip(requests, model.next_token(requests), strict=True):
        plain = [continuation(model, request.context, word, "bos") for word in request.words]
        assert scored.logprobs == pytest.approx([math.fsum(values) for values in plain], abs=1e-4)
        assert scored.tokens == (3, 4, 1)


# --- refusals -----------------------------------------------------------------------------------


def test_requests_of_the_other_model_kind_are_refused() -> None:
    with pytest.raises(ModelError, match=r"infill needs a masked model.*tiny-llama@0 is causal"):
        tiny_model("llama").infill([Infill(text="ab", start=0, end=1)])
    with pytest.raises(ModelError, match="tiny-bert@0 is masked"):
        tiny_model("bert").next_token([NextToken(context="a", words=("b",))])


def test_a_text_longer_than_the_context_is_an_error() -> None:
    model = tiny_model("gpt2", context=8)
    fine = Continuation(context="", continuation="12345678")
    assert model.score([fine])[0].tokens == 8
    long = Continuation(context="123456789", continuation="x")
    with pytest.raises(
        ModelError, match=r"request 1 \(counted from 0\) must fit .* 8 tokens, got 10"
    ):
        model.score([fine, long])


def test_an_empty_continuation_is_not_measurable() -> None:
    (scored,) = tiny_model("llama").score([Continuation(context="ab", continuation="")])
    assert (scored.tokens, scored.bytes) == (0, 0)
    assert math.isnan(scored.mean)


@pytest.mark.thorough
def test_the_real_model_equals_the_plain_loop(real_model: LanguageModel) -> None:
    requests = [
        Continuation(context="The weather", continuation=text, prefix=prefix)
        for text in (" was fine.", " was bad, and so we stayed at home.")
        for prefix in POLICIES
    ]
    expected = []
    for request in requests:
        coded = real_model.tokenizer(
            request.context + request.continuation, add_special_tokens=False
        )
        assert coded["input_ids"][:2] == real_model.tokenizer.encode("The weather")
        expected.append(
            continuation(real_model, request.context, request.continuation, request.prefix)
        )
    agree(real_model.score(requests), expected)


@pytest.fixture(scope="module")
def real_model(reference_model: object) -> LanguageModel:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return LanguageModel(
        module=AutoModelForCausalLM.from_pretrained(reference_model, dtype=torch.float32).eval(),
        tokenizer=AutoTokenizer.from_pretrained(reference_model),
        identity="reference-12m",
    )
