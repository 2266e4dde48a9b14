"""CAFIE's contexts: aligned by words, read only when complete, the same set for every member."""

from dataclasses import replace

import pytest
import torch
from toy_tokenizers import KINDS, toy_model

from equipoise.decoding.counterfactual_rule import Counterfactual
from equipoise.decoding.mixture import Mixing
from equipoise.errors import ModelError
from equipoise.group_words.counterpart_text import applied
from equipoise.group_words.counterparts import Counterparts
from equipoise.group_words.wordings import counterparts
from equipoise.inference.rule_scoring import next_distributions
from equipoise.models.tokenization import Marked, Tokens, encode
from equipoise.records import Continuation

GENDER = Counterfactual(
    lists=Counterparts.parsed(counterparts()).only(["gender"]),
    mixing=Mixing(mode="mean", alpha=1.0),
)


def coded(kind: str, text: str) -> Tokens:
    (tokens,) = encode(toy_model(kind).tokenizer, [Marked(text, 0, 0)], specials=False)
    return tokens


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("The man saw the bag .", "The woman saw the bag ."),
        ("The uncle took his bag", "The aunt took her bag"),
        ("he was kind , she was tall", "she was kind , he was tall"),
    ],
)
def test_the_other_context_is_cut_as_the_other_text_is(kind: str, text: str, other: str) -> None:
    tokens, expected = coded(kind, text), coded(kind, other)
    tokenizer = toy_model(kind).tokenizer
    ((own, (ids, count)),) = GENDER.contexts(tokenizer, tokens, [len(tokens.ids)])
    assert own == (tokens.ids, len(tokens.ids))
    assert ids[:count] == expected.ids
    assert count == len(expected.ids)


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
def test_contexts_depend_on_what_is_read_alone(kind: str, text: str) -> None:
    tokenizer = toy_model(kind).tokenizer
    decoding_rule = replace(GENDER, lists=Counterparts.parsed(counterparts()), most=3)
    tokens = coded(kind, text)
    everywhere = list(range(len(tokens.ids) + 1))
    together = decoding_rule.contexts(tokenizer, tokens, everywhere)
    for count, found in zip(everywhere, together, strict=True):
        end = max((end for _, end in tokens.spans[:count]), default=0)
        so_far = Tokens(text[:end], tokens.ids[:count], tokens.spans[:count], (False,) * count)
        (alone,) = decoding_rule.contexts(tokenizer, so_far, [count])
        contexts = [[ids[:size] for ids, size in some] for some in (found, alone)]
        assert contexts[0] == contexts[1]


def test_nothing_is_adjusted_before_the_word_or_inside_it() -> None:
    tokens = coded("bytes", "The woman was")
    found = GENDER.contexts(toy_model("bytes").tokenizer, tokens, range(len(tokens.ids) + 1))
    assert not any(found[: len("The woman")])
    assert all(found[len("The woman") :])


@pytest.mark.parametrize("mode", ["mean", "geomean"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_difference_is_left_between_members(kind: str, mode: str) -> None:
    mixing = Mixing(mode="mean" if mode == "mean" else "geomean", alpha=1.0)
    model = replace(toy_model(kind), decoding_rule=replace(GENDER, mixing=mixing))
    texts = ["The man said that", "The woman said that"]
    plain = next_distributions(replace(model, decoding_rule=None), texts).exp()
    found = next_distributions(model, texts).exp()
    assert float((plain[0] - plain[1]).abs().sum()) / 2 > 1e-3
    assert float((found[0] - found[1]).abs().sum()) / 2 < 1e-6


@pytest.mark.parametrize("mode", ["mean", "geomean"])
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
    ],
)
def test_no_difference_is_left_in_any_axis(axes: list[str], texts: list[str], mode: str) -> None:
    lists = Counterparts.parsed(counterparts()).only(axes)
    mixing = Mixing(mode="mean" if mode == "mean" else "geomean", alpha=1.0)
    model = replace(toy_model("bytes"), decoding_rule=Counterfactual(lists=lists, mixing=mixing))
    plain = next_distributions(replace(model, decoding_rule=None), texts).exp()
    found = next_distributions(model, texts).exp()
    assert float((plain[0] - plain[1]).abs().sum()) / 2 > 1e-4
    assert float((found - found[0]).abs().sum(-1).max()) / 2 < 1e-6


def test_a_part_of_a_large_set_is_one_set() -> None:
    lists = Counterparts.parsed(counterparts()).only(["nationality"])
    decoding_rule = replace(GENDER, lists=lists, most=5)
    text = "The Kenyan team"
    part = [
        applied(text, member) for member in lists.members(text, most=5, seed=decoding_rule.seed)
    ]
    found = next_distributions(replace(toy_model("bytes"), decoding_rule=decoding_rule), part).exp()
    assert float((found - found[0]).abs().sum(-1).max()) / 2 < 1e-6


@pytest.mark.parametrize("most", [None, 1, 5, 40])
@pytest.mark.parametrize("axes", [["gender"], ["gender", "religion"], ["race", "gender"]])
def test_no_text_costs_more_than_is_said(axes: list[str], most: int | None) -> None:
    lists = Counterparts.parsed(counterparts()).only(axes)
    decoding_rule = replace(GENDER, lists=lists, most=most)
    tokens = coded("bytes", "The Jewish man met the Arab woman and")
    (found,) = decoding_rule.contexts(toy_model("bytes").tokenizer, tokens, [len(tokens.ids)])
    assert len(found) == decoding_rule.rows


def test_without_a_limit_the_cost_is_that_of_all_combinations() -> None:
    every = Counterfactual(lists=Counterparts.parsed(counterparts()), mixing=Mixing())
    assert every.rows == 2 * 6 * 6 * 47
    assert replace(every, most=5).rows == 6


def test_six_faiths_are_one_set() -> None:
    lists = Counterparts.parsed(counterparts()).only(["religion"])
    model = replace(toy_model("bytes"), decoding_rule=replace(GENDER, lists=lists))
    kept = next_distributions(model, ["A Muslim mosque", "A Muslim church"]).exp()
    assert float((kept[0] - kept[1]).abs().sum()) / 2 > 1e-5  # two sets: who meets whom is kept
    texts = ["Many Muslims", "Many Jews", "Many Sikhs"]
    same = next_distributions(model, texts).exp()
    assert all(float((one - same[0]).abs().sum()) / 2 < 1e-6 for one in same)


def test_the_reference_reverses_what_the_mean_equalizes() -> None:
    reference = replace(GENDER, mixing=Mixing())
    plain = toy_model("words")
    asked = [Continuation(context=f"The {who}", continuation=" was") for who in ("man", "woman")]

    def gap(model: object) -> float:
        one, other = (row.logprob for row in model.score(asked))  # type: ignore[attr-defined]
        return float(one - other)

    base = gap(plain)
    assert abs(base) > 1e-2
    assert gap(replace(plain, decoding_rule=GENDER)) == pytest.approx(0, abs=1e-5)
    assert gap(replace(plain, decoding_rule=reference)) * base < 0


def test_what_it_covers() -> None:
    assert GENDER.covers("The man was", whole=True)
    assert not GENDER.covers("It was a man", whole=True)
    assert GENDER.covers("It was a man", whole=False)
    assert not replace(GENDER, most=0).covers("The man was", whole=True)
    assert not GENDER.covers("I saw him", whole=False)  # "I saw her" may yet be "her bag"
    assert not GENDER.covers("I saw him.", whole=True)
    assert GENDER.covers("I saw him. It", whole=True)


def test_settings_come_back_in_their_order() -> None:
    whole = Counterfactual(
        lists=Counterparts.parsed(counterparts()), mixing=Mixing(), most=5, seed=3
    )
    assert Counterfactual.from_settings(whole.settings) == whole
    assert (whole.rows, GENDER.rows) == (6, 2)
    with pytest.raises(ModelError, match="must be whole numbers, got 'x' and 3"):
        Counterfactual.from_settings({**whole.settings, "most": "x"})
    with pytest.raises(ModelError, match="sound lists"):
        Counterfactual.from_settings({**whole.settings, "lists": 3})


def test_a_slow_tokenizer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = toy_model("words").tokenizer
    monkeypatch.setattr(type(tokenizer), "is_fast", False)
    with pytest.raises(ModelError, match=r"PreTrainedTokenizerFast|TokenizersBackend"):
        GENDER.contexts(tokenizer, coded_once(), [2])


def coded_once() -> Tokens:
    return Tokens("The man", (4, 13), ((0, 3), (4, 7)), (False, False))


def test_distributions_of_uncovered_contexts_are_the_plain_ones() -> None:
    model = toy_model("words")
    found = next_distributions(replace(model, decoding_rule=GENDER), ["The nurse said"])
    assert torch.allclose(found, next_distributions(model, ["The nurse said"]), atol=1e-6)
