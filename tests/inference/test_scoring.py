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


def agree(found: list[Scored], expected: list[list[float]]) -> None:
    """To 1e-5 nats a token."""
    for one, values in zip(found, expected, strict=True):
        assert one.token_logprobs == pytest.approx(values, rel=0, abs=1e-5)


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_continuations_equal_the_plain_loop(family: str) -> None:
    model = tiny_model(family)
    expected = [continuation(model, one.context, one.continuation, one.prefix) for one in REQUESTS]
    agree(model.score(REQUESTS), expected)
    agree(model.score(REQUESTS[::-1])[::-1], expected)
    agree([model.score([one])[0] for one in REQUESTS], expected)


@pytest.mark.parametrize("family", MASKED_FAMILIES)
def test_masked_models_equal_the_plain_loop(family: str) -> None:
    model = tiny_model(family)
    asked = [Continuation(context=a, continuation=b) for a, b in TEXTS[:5]]
    expected = [
        pseudo(model, one.context + one.continuation, list(range(start, start + size)))
        for one in asked
        for start, size in [(len(one.context), len(one.continuation))]
    ]
    agree(model.score(asked), expected)
    spans = [Infill(text="a man ran far", start=2, end=5), Infill(text="a cat", start=2, end=5)]
    agree(model.infill(spans), [revealed(model, span.text, span.start, span.end) for span in spans])


@pytest.mark.parametrize("bos", ["bos", "added", "eos", "none"])
def test_there_is_one_start_token_or_none(bos: str) -> None:
    model = tiny_model("llama", bos=bos)
    agree(
        model.score(REQUESTS),
        [continuation(model, one.context, one.continuation, one.prefix) for one in REQUESTS],
    )


@pytest.mark.parametrize("bos", ["bos", "added", "eos", "none"])
def test_the_tokenizers_own_start_token(bos: Start) -> None:
    model = tiny_model("llama", bos=bos)
    asked = [Continuation(context=a, continuation=b, prefix="own") for a, b in TEXTS]
    rules: list[Prefix] = ["bos" if bos == "added" or not a else "none" for a, _ in TEXTS]
    alike = [
        Continuation(context=one.context, continuation=one.continuation, prefix=rule)
        for one, rule in zip(asked, rules, strict=True)
    ]
    assert model.score(asked) == model.score(alike)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "bert"])
def test_what_is_written_greedily_is_greedy_and_nothing_else(family: str) -> None:
    model = tiny_model(family)
    texts = [" a book", " a", "!"] + [chr(code) for code in range(97, 123)]
    asked = [Continuation(context="Ann wrote", continuation=one, greedy=True) for one in texts]
    plain = [replace(one, greedy=False) for one in asked]
    found = model.score([*asked, *plain])  # both kinds in one call
    assert [one.token_logprobs for one in found[: len(texts)]] == [
        one.token_logprobs for one in found[len(texts) :]
    ]
    assert {one.greedy for one in found[len(texts) :]} == {None}
    expected = [_is_greedy(model, "Ann wrote", one) for one in texts]
    assert [one.greedy for one in found[: len(texts)]] == expected


def test_the_likeliest_text_is_greedy() -> None:
    model = tiny_model("llama")
    contexts = [f"Ann {number}" for number in range(40)]
    texts = model.generate([Generation(context=one, max_tokens=2) for one in contexts], seed=0)
    said = [(one, text) for one, text in zip(contexts, texts, strict=True) if text.isascii()]
    assert said
    for context, text in said:
        other = text[0] + ("a" if text[1:] != "a" else "b")
        asked = [Continuation(context=context, continuation=e, greedy=True) for e in (text, other)]
        assert [one.greedy for one in model.score(asked)] == [True, False]


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


@given(st.permutations(range(len(REQUESTS))), st.sampled_from([1, 64, 4096]))
@settings(max_examples=10, deadline=None)
def test_order_company_and_batch_change_nothing(order: list[int], batch_tokens: int) -> None:
    model = replace(tiny_model("gpt2", blocks=1), batch_tokens=batch_tokens)
    expected = [list(one.token_logprobs) for one in model.score(REQUESTS)]
    found = model.score([REQUESTS[at] for at in order])
    agree(found, [expected[at] for at in order])


@pytest.mark.parametrize("family", ["gemma2", "gemma3"])
def test_texts_longer_than_the_attention_window_equal_the_plain_loop(family: str) -> None:
    model = tiny_model(family)  # its window is 16 tokens
    context = "once upon a time there was a "
    asked = [Continuation(context=context, continuation=one) for one in ("fox", "frog", "king")]
    agree(
        model.score(asked), [continuation(model, context, one.continuation, "bos") for one in asked]
    )


def test_bfloat16_weights_are_summed_in_float32() -> None:
    model = tiny_model("llama")
    rounded = replace(model, module=tiny_model("llama").module.bfloat16())
    for one, other in zip(model.score(REQUESTS), rounded.score(REQUESTS), strict=True):
        assert one.token_logprobs == pytest.approx(other.token_logprobs, abs=0.3)
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
    a, b, c = (tokenizer.convert_tokens_to_ids(one) for one in "abc")
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
    (found,) = bigram(bos).score([Continuation(context="", continuation="abc", prefix=prefix)])
    assert found.token_logprobs == pytest.approx(nats(*chances), abs=1e-6)
    assert found.bytes == len(chances)
    assert found.logprob == pytest.approx(math.log(math.prod(chances)), abs=1e-6)


def test_known_probabilities_of_a_continuation_and_of_words() -> None:
    (found,) = bigram().score([Continuation(context="a", continuation="bc", prefix="none")])
    assert found.token_logprobs == pytest.approx(nats(1 / 4, 1 / 16), abs=1e-6)
    (words,) = bigram().next_token([NextToken(context="a", words=("b", "bc"))])
    assert words.logprobs == pytest.approx(nats(1 / 4, 1 / 64), abs=1e-6)
    assert words.tokens == (1, 2)
    (first,) = bigram().next_token([NextToken(context="", words=("a", "b"))])
    assert first.logprobs == pytest.approx(nats(1 / 2, 1 / 8), abs=1e-6)


def test_without_a_start_token_the_first_token_is_not_scored() -> None:
    (found,) = bigram("none").score([Continuation(context="", continuation="abc")])
    assert found.token_logprobs == pytest.approx(nats(1 / 4, 1 / 16), abs=1e-6)
    (alone,) = bigram("none").score([Continuation(context="", continuation="a")])
    assert (alone.tokens, alone.bytes) == (0, 0)
    assert math.isnan(alone.logprob)


def test_a_prompt_stands_before_every_context() -> None:
    model = replace(bigram(), prompts=("a",))
    (found,) = model.score([Continuation(context="", continuation="bc")])
    assert found.token_logprobs == pytest.approx(nats(1 / 4, 1 / 16), abs=1e-6)
    masked = replace(tiny_model("bert"), prompts=("so ",))
    (span,) = masked.infill([Infill(text="a man", start=2, end=5)])
    assert list(span.token_logprobs) == pytest.approx(revealed(masked, "so a man", 5, 8), abs=1e-5)


# --- next tokens --------------------------------------------------------------------------------


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_words_after_a_context_equal_their_continuations(family: str) -> None:
    model = tiny_model(family)
    asked = [NextToken(context=text, words=(" he", " she", "!")) for text in ("The cook said", "A")]
    for one, found in zip(asked, model.next_token(asked), strict=True):
        plain = [continuation(model, one.context, word, "bos") for word in one.words]
        assert found.logprobs == pytest.approx([math.fsum(values) for values in plain], abs=1e-4)
        assert found.tokens == (3, 4, 1)


# --- refusals -----------------------------------------------------------------------------------


def test_a_kind_that_cannot_answer_says_so() -> None:
    with pytest.raises(ModelError, match=r"infill needs a masked model.*tiny-llama@0 is causal"):
        tiny_model("llama").infill([Infill(text="ab", start=0, end=1)])
    with pytest.raises(ModelError, match="tiny-bert@0 is masked"):
        tiny_model("bert").next_token([NextToken(context="a", words=("b",))])


def test_too_long_a_text_is_an_error_with_its_number() -> None:
    model = tiny_model("gpt2", context=8)
    fine = Continuation(context="", continuation="12345678")
    assert model.score([fine])[0].tokens == 8
    long = Continuation(context="123456789", continuation="x")
    with pytest.raises(
        ModelError, match=r"request 1 \(counted from 0\) must fit .* 8 tokens, got 10"
    ):
        model.score([fine, long])


def test_an_empty_continuation_is_not_measurable() -> None:
    (found,) = tiny_model("llama").score([Continuation(context="ab", continuation="")])
    assert (found.tokens, found.bytes) == (0, 0)
    assert math.isnan(found.mean)


def test_the_real_model_equals_the_plain_loop(real_model: LanguageModel) -> None:
    asked = [
        Continuation(context="The weather", continuation=text, prefix=prefix)
        for text in (" was fine.", " was bad, and so we stayed at home.")
        for prefix in POLICIES
    ]
    expected = []
    for one in asked:
        coded = real_model.tokenizer(one.context + one.continuation, add_special_tokens=False)
        assert coded["input_ids"][:2] == real_model.tokenizer.encode("The weather")
        expected.append(continuation(real_model, one.context, one.continuation, one.prefix))
    agree(real_model.score(asked), expected)


@pytest.fixture(scope="module")
def real_model(reference_model: object) -> LanguageModel:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return LanguageModel(
        module=AutoModelForCausalLM.from_pretrained(reference_model, dtype=torch.float32).eval(),
        tokenizer=AutoTokenizer.from_pretrained(reference_model),
        identity="reference-12m",
    )
