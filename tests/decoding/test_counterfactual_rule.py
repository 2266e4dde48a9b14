"""CAFIE's contexts: aligned by words, of the prefix alone, the same set for every member."""

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from plain_scoring import next_distributions
from toy_tokenizers import KINDS, toy_model

from equipoise.decoding.counterfactual_rule import Counterfactual
from equipoise.decoding.mixture import GeometricMean, Mean, Mixture, Reference
from equipoise.errors import ModelError
from equipoise.group_words.word_lists import read_word_lists
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import Marked, Tokens, encode
from equipoise.records import Continuation

GENDER = Counterfactual(lists=read_word_lists(None, ["gender"]), mixture=Mean(alpha=1.0))
EVERY = replace(GENDER, lists=read_word_lists(None, ["religion", "gender", "race", "nationality"]))
MEANS = pytest.mark.parametrize(
    "mixture", [Mean(alpha=1.0), GeometricMean(alpha=1.0)], ids=["mean", "geomean"]
)


def rule_of(axes: Sequence[str], **options: int | None) -> Counterfactual:
    return replace(GENDER, lists=read_word_lists(None, axes), **options)  # type: ignore[arg-type]


def coded(kind: str, text: str) -> Tokens:
    (tokens,) = encode(toy_model(kind).tokenizer, [Marked(text, 0, 0)], specials=False)
    return tokens


def distances(model: LanguageModel, texts: Sequence[str]) -> list[float]:
    """Total variation between what comes next after the first text and after each other one."""
    after = next_distributions(model, texts).exp()
    return [float((row - after[0]).abs().sum()) / 2 for row in after[1:]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("The man saw the bag .", "The woman saw the bag ."),
        ("The uncle took his bag", "The aunt took her bag"),
        ("he was kind , she was tall", "she was kind , he was tall"),
    ],
)
def test_counterfactual_context_is_tokenized_as_its_text(kind: str, text: str, other: str) -> None:
    tokens, expected = coded(kind, text), coded(kind, other)
    tokenizer = toy_model(kind).tokenizer
    ((context, (ids, count)),) = GENDER.contexts(tokenizer, tokens, [len(tokens.ids)])
    assert context == (tokens.ids, len(tokens.ids))
    assert ids[:count] == expected.ids
    assert count == len(expected.ids)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text",
    [
        "The man saw him and the woman took her bag . She saw the bag is his .",
        "White people saw a Jew and Chinese people , an African American bag",
        'I saw him ( bag ) and him , " she " saw him . . bag',  # more than one sign after the word
        "The mankind saw the womanly bag",  # words that grow into others
    ],
)
def test_contexts_depend_on_the_prefix_alone(kind: str, text: str) -> None:
    tokenizer = toy_model(kind).tokenizer
    rule = replace(EVERY, counterfactuals=3)
    tokens = coded(kind, text)
    everywhere = list(range(len(tokens.ids) + 1))
    together = rule.contexts(tokenizer, tokens, everywhere)
    for count, contexts in zip(everywhere, together, strict=True):
        end = max((end for _, end in tokens.spans[:count]), default=0)
        so_far = Tokens(text[:end], tokens.ids[:count], tokens.spans[:count], ())
        (alone,) = rule.contexts(tokenizer, so_far, [count])
        assert [ids[:size] for ids, size in contexts] == [ids[:size] for ids, size in alone]


def test_nothing_is_adjusted_before_the_word_or_inside_it() -> None:
    tokens = coded("bytes", "The woman was")
    contexts = GENDER.contexts(toy_model("bytes").tokenizer, tokens, range(len(tokens.ids) + 1))
    assert not any(contexts[: len("The woman")])
    assert all(contexts[len("The woman") :])


@pytest.mark.thorough
def test_a_long_text_takes_no_more_than_a_second_or_two() -> None:
    text = "The man met her sister and the Black woman, a Muslim teacher. " * 10
    tokens = coded("words", text)
    assert len(tokens.ids) > 120
    begin = time.process_time()
    contexts = replace(EVERY, counterfactuals=5).contexts(
        toy_model("words").tokenizer, tokens, range(len(tokens.ids) + 1)
    )
    assert time.process_time() - begin < 1.5  # 0.5 on a slow machine
    assert len(contexts[-1]) == 6


@pytest.mark.thorough
@MEANS
@pytest.mark.parametrize("kind", KINDS)
def test_no_difference_is_left_between_members(kind: str, mixture: Mixture) -> None:
    model = toy_model(kind)
    texts = ["The man said that", "The woman said that"]
    assert distances(model, texts)[0] > 1e-3
    fair = replace(model, decoding_rule=replace(GENDER, mixture=mixture))
    assert distances(fair, texts)[0] < 1e-6


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("axes", "texts"),
    [
        (["race"], ["All Black women are", "All white women are", "All black women are"]),
        (["race"], ["White people", "Native American people", "Black people"]),
        (["nationality"], ["The Americans were", "The Chinese people were", "The Poles were"]),
        (["gender"], ["The bag is hers and", "The bag is his and"]),
        (["gender"], ["I saw her.", "I saw him."]),
        (["gender"], ["He took her", "She took his"]),
        (["gender", "religion"], ["The Jewish man", "The Sikh woman", "The Muslim woman"]),
        (["religion"], ["Many Muslims", "Many Jews", "Many Sikhs"]),
    ],
)
def test_no_difference_is_left_on_any_axis(axes: list[str], texts: list[str]) -> None:
    model = toy_model("bytes")
    assert distances(model, texts)[0] > 1e-4
    assert max(distances(replace(model, decoding_rule=rule_of(axes)), texts)) < 1e-6


def test_who_meets_whom_is_kept() -> None:
    model = replace(toy_model("bytes"), decoding_rule=rule_of(["religion"]))
    assert distances(model, ["A Muslim mosque", "A Muslim church"])[0] > 1e-5  # two sets


@pytest.mark.thorough
def test_a_block_of_a_large_set_is_one_set() -> None:
    rule = rule_of(["nationality"], counterfactuals=5)
    tokens = coded("bytes", "The Kenyan team")
    (contexts,) = rule.contexts(toy_model("bytes").tokenizer, tokens, [len(tokens.ids)])
    texts = [toy_model("bytes").tokenizer.decode(list(ids[:size])) for ids, size in contexts]
    assert len(texts) == 6
    assert max(distances(replace(toy_model("bytes"), decoding_rule=rule), texts)) < 1e-6


@pytest.mark.parametrize("limit", [None, 1, 5])
@pytest.mark.parametrize("axes", [["gender"], ["race", "gender"]])
def test_cost_stays_within_its_bound(axes: list[str], limit: int | None) -> None:
    rule = rule_of(axes, counterfactuals=limit)
    tokens = coded("bytes", "The Jewish man met the Arab woman and")
    (contexts,) = rule.contexts(toy_model("bytes").tokenizer, tokens, [len(tokens.ids)])
    assert len(contexts) == rule.rows


def test_without_a_limit_the_cost_is_that_of_all_combinations() -> None:
    assert EVERY.rows == 2 * 6 * 6 * 47
    assert replace(EVERY, counterfactuals=5).rows == 6


@pytest.mark.thorough
def test_the_reference_reverses_what_the_mean_equalizes() -> None:
    model = toy_model("words")
    requests = [Continuation(context=f"The {who}", continuation=" was") for who in ("man", "woman")]

    def gap(model: LanguageModel) -> float:
        man, woman = (scored.logprob for scored in model.score(requests))
        return man - woman

    base = gap(model)
    assert abs(base) > 1e-2
    assert gap(replace(model, decoding_rule=GENDER)) == pytest.approx(0, abs=1e-5)
    reference = replace(GENDER, mixture=Reference())
    assert gap(replace(model, decoding_rule=reference)) * base < 0


def test_settings_round_trip() -> None:
    rule = replace(EVERY, mixture=Reference(gamma=0.5), counterfactuals=5, seed=3)
    assert Counterfactual.from_settings(rule.settings) == rule
    for changed in (
        {"counterfactuals": "x"},
        {"lists": 3},
        {"axes": ["age"]},
        {"axes": None},
        {"mixture": {"name": "median"}},
        {"mixture": {"name": "mean", "alpha": 2}},
    ):
        with pytest.raises(ModelError):
            Counterfactual.from_settings({**rule.settings, **changed})  # type: ignore[dict-item]


def test_a_slow_tokenizer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = toy_model("words").tokenizer
    monkeypatch.setattr(type(tokenizer), "is_fast", False)
    named = Tokens("The man", (4, 13), ((0, 3), (4, 7)), ())
    with pytest.raises(ModelError, match=r"PreTrainedTokenizerFast|TokenizersBackend"):
        GENDER.contexts(tokenizer, named, [2])
    unnamed = Tokens("The bag", (4, 13), ((0, 3), (4, 7)), ())
    assert GENDER.contexts(tokenizer, unnamed, [1, 2]) == [(), ()]


def test_context_without_groups_is_not_adjusted() -> None:
    model = toy_model("words")
    after = next_distributions(replace(model, decoding_rule=GENDER), ["The nurse said"])
    assert torch.allclose(after, next_distributions(model, ["The nurse said"]), atol=1e-6)
