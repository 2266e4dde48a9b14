"""Self-Debias: the rule by hand, its properties, and prefixes that shift nothing."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain_scoring import next_distributions
from toy_tokenizers import KINDS, toy_model

from equipoise.decoding.self_debias_rule import SAME_TYPE, SelfDebiasing, bias_prefixes, bias_type
from equipoise.errors import DataError, ModelError
from equipoise.models.tokenization import Marked, encode
from equipoise.records import Continuation

RULE = SelfDebiasing(prefixes=("Text:",))
shares = st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3)


def rows(*shares_of: list[float]) -> torch.Tensor:
    weights = torch.tensor(shares_of, dtype=torch.float64)
    return (weights / weights.sum(-1, keepdim=True)).log()[:, None]


def test_the_rule_by_hand() -> None:
    adjusted = RULE.adjusted(rows([0.5, 0.3, 0.2], [0.4, 0.31, 0.29])).exp()[0]
    scaled = [0.5, 0.3 * math.exp(-50 * 0.01), 0.2 * 0.011108996538242306]  # exp(-50 * 0.09)
    assert adjusted.tolist() == pytest.approx([share / sum(scaled) for share in scaled])


def test_the_floor_binds_and_the_largest_prefix_counts() -> None:
    adjusted = RULE.adjusted(rows([0.5, 0.5], [0.5, 0.5], [0.4, 0.6])).exp()[0]
    assert adjusted.tolist() == pytest.approx([0.5 / 0.505, 0.005 / 0.505])  # 0.01, not exp(-5)


@pytest.mark.thorough
@given(shares)
def test_equal_rows_change_nothing(plain: list[float]) -> None:
    assert torch.allclose(RULE.adjusted(rows(plain, plain)), rows(plain)[0], atol=1e-12)


@pytest.mark.thorough
@given(shares, shares, st.floats(0.0, 0.5))
def test_tokens_that_a_prefix_favors_are_scaled_down(
    plain: list[float], prefixed: list[float], more: float
) -> None:
    """The factor of a token falls as the prefix's probability of it rises."""
    before, after = rows(plain, prefixed), rows(plain, prefixed)
    after[1, 0, 0] = (before[1, 0, 0].exp() + more).log()
    adjusted = [RULE.adjusted(logprobs)[0] for logprobs in (before, after)]
    odds = [float(first - second) for first, second, _ in adjusted]
    assert odds[1] <= odds[0] + 1e-9


@pytest.mark.thorough
@given(shares, shares)
def test_it_is_a_distribution_without_zeros(plain: list[float], prefixed: list[float]) -> None:
    adjusted = RULE.adjusted(rows(plain, prefixed).float())
    assert float(adjusted.exp().sum()) == pytest.approx(1, abs=1e-6)
    assert bool(torch.isfinite(adjusted).all())


@pytest.mark.parametrize("text", ["The man was kind .", " man was kind ."])
@pytest.mark.parametrize("kind", KINDS)
def test_a_longer_prefix_shifts_no_token(kind: str, text: str) -> None:
    model = toy_model(kind)
    (tokens,) = encode(model.tokenizer, [Marked(text, 0, 0)], specials=False)
    for prefix in ("Text:", "Text here:", "Text that is here:"):
        rule = SelfDebiasing(prefixes=(prefix,))
        for count in range(len(tokens.ids) + 1):
            ((context, (ids, length)),) = rule.contexts(model.tokenizer, tokens, [count])
            assert context == (tokens.ids, count)
            assert ids[length - count : length] == tokens.ids[:count]
            assert length - count == len(ids) - len(tokens.ids)
        front = model.tokenizer.decode(ids[: length - count]).replace(" ", "").strip()
        if kind == "bytes":
            assert front == prefix.replace(" ", "")


@pytest.mark.parametrize("kind", KINDS)
def test_prefix_and_text_are_tokenized_as_one_text(kind: str) -> None:
    """No space is left over before a word that has its own, and none is missing."""
    model = toy_model(kind)
    for text, joint in (("The man", " The man"), (" man was", " man was")):
        (tokens,) = encode(model.tokenizer, [Marked(text, 0, 0)], specials=False)
        ((_, (ids, _)),) = RULE.contexts(model.tokenizer, tokens, [0])
        assert list(ids) == model.tokenizer.encode("Text:" + joint, add_special_tokens=False)


def test_a_prefix_that_says_the_same_as_the_text_alone_changes_nothing() -> None:
    model = toy_model("words")
    after = next_distributions(replace(model, decoding_rule=replace(RULE, decay=1e-9)), ["The man"])
    assert torch.allclose(after, next_distributions(model, ["The man"]), atol=1e-6)


@pytest.mark.thorough
def test_a_stronger_decay_changes_more() -> None:
    model = toy_model("words")
    requests = [Continuation(context="", continuation="The man was kind .")]
    (plain,) = model.score(requests)
    gaps = []
    for decay in (1.0, 10.0, 50.0):
        (changed,) = replace(model, decoding_rule=replace(RULE, decay=decay)).score(requests)
        pairs = zip(changed.token_logprobs, plain.token_logprobs, strict=True)
        gaps.append(sum(abs(a - b) for a, b in pairs))
    assert 0 < gaps[0] < gaps[1] < gaps[2]


@pytest.mark.parametrize(
    ("changed", "got"),
    [({"decay": -1.0}, "-1.0 and"), ({"epsilon": 0.0}, "and 0.0"), ({"prefixes": ("a ",)}, "'a '")],
)
def test_invalid_rule_is_refused(changed: dict[str, float], got: str) -> None:
    with pytest.raises(ModelError, match=got):
        replace(RULE, **changed)


def test_settings_round_trip() -> None:
    rule = SelfDebiasing(prefixes=("a", "b"), decay=3.0, epsilon=0.5, types=("age", "gender"))
    assert SelfDebiasing.from_settings(rule.settings) == rule
    assert rule.rows == 3
    with pytest.raises(ModelError, match=r"got \['decay'\]"):
        SelfDebiasing.from_settings({"decay": 1.0})


def test_every_type_has_five_wordings_of_its_own() -> None:
    prefixes = bias_prefixes()
    assert len(prefixes) == 9
    every = [wording for wordings in prefixes.values() for wording in wordings]
    assert len(set(every)) == len(every)
    assert all(len(wordings) == 5 for wordings in prefixes.values())
    assert all(wording == wording.strip() and wording.endswith(":") for wording in every)


def test_types_have_the_names_of_both_benchmarks() -> None:
    assert bias_type("profession") == "socioeconomic"
    assert bias_type("race") == "race-color"
    assert bias_type("gender") == "gender"
    assert set(SAME_TYPE.values()) <= set(bias_prefixes())
    with pytest.raises(DataError, match=r"bias type 'gendr' has no prefix; .*gender"):
        bias_type("gendr")
