"""Self-Debias: the rule by hand, its properties, and prefixes that shift nothing."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain_scoring import next_distributions
from toy_tokenizers import KINDS, toy_model

from equipoise.decoding.self_debias_rule import SelfDebiasing
from equipoise.errors import ModelError
from equipoise.models.tokenization import Marked, encode
from equipoise.records import Continuation

ONE = SelfDebiasing(prefixes=("Text:",))
shares = st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3)


def rows(*shares_of: list[float]) -> torch.Tensor:
    found = torch.tensor(shares_of, dtype=torch.float64)
    return (found / found.sum(-1, keepdim=True)).log()[:, None]


def test_the_rule_by_hand() -> None:
    found = ONE.adjusted(rows([0.5, 0.3, 0.2], [0.4, 0.31, 0.29])).exp()[0]
    kept = [0.5, 0.3 * math.exp(-50 * 0.01), 0.2 * 0.011108996538242306]  # exp(-50 * 0.09)
    assert found.tolist() == pytest.approx([one / sum(kept) for one in kept])


def test_the_floor_binds_and_the_largest_prefix_counts() -> None:
    found = ONE.adjusted(rows([0.5, 0.5], [0.5, 0.5], [0.4, 0.6])).exp()[0]
    assert found.tolist() == pytest.approx([0.5 / 0.505, 0.005 / 0.505])  # 0.01, not exp(-5)


@given(shares)
def test_equal_rows_change_nothing(own: list[float]) -> None:
    assert torch.allclose(ONE.adjusted(rows(own, own)), rows(own)[0], atol=1e-12)


@given(shares, shares, st.floats(0.0, 0.5))
def test_what_a_prefix_favors_more_keeps_less(
    own: list[float], other: list[float], more: float
) -> None:
    """The factor of a token falls as the prefix's probability of it rises."""
    before, after = rows(own, other), rows(own, other)
    after[1, 0, 0] = (before[1, 0, 0].exp() + more).log()
    odds = [float(ONE.adjusted(one)[0, 0] - ONE.adjusted(one)[0, 1]) for one in (before, after)]
    assert odds[1] <= odds[0] + 1e-9


@given(shares, shares)
def test_it_is_a_distribution_without_zeros(own: list[float], other: list[float]) -> None:
    found = ONE.adjusted(rows(own, other).float())
    assert float(found.exp().sum()) == pytest.approx(1, abs=1e-6)
    assert bool(torch.isfinite(found).all())


@pytest.mark.parametrize("text", ["The man was kind .", " man was kind ."])
@pytest.mark.parametrize("kind", KINDS)
def test_a_longer_prefix_shifts_no_token(kind: str, text: str) -> None:
    model = toy_model(kind)
    (tokens,) = encode(model.tokenizer, [Marked(text, 0, 0)], specials=False)
    for prefix in ("Text:", "Text here:", "Text that is here:"):
        decoding_rule = SelfDebiasing(prefixes=(prefix,))
        for count in range(len(tokens.ids) + 1):
            ((own, (ids, length)),) = decoding_rule.contexts(model.tokenizer, tokens, [count])
            assert own == (tokens.ids, count)
            assert ids[length - count : length] == tokens.ids[:count]
            assert length - count == len(ids) - len(tokens.ids)
        told = model.tokenizer.decode(ids[: length - count]).replace(" ", "").strip()
        if kind == "bytes":
            assert told == prefix.replace(" ", "")


@pytest.mark.parametrize("kind", KINDS)
def test_prefix_and_text_are_cut_as_one_text_would_be(kind: str) -> None:
    """No space is left over before a word that has its own, and none is missing."""
    model = toy_model(kind)
    for text, joint in (("The man", " The man"), (" man was", " man was")):
        (tokens,) = encode(model.tokenizer, [Marked(text, 0, 0)], specials=False)
        ((_, (ids, _)),) = ONE.contexts(model.tokenizer, tokens, [0])
        assert list(ids) == model.tokenizer.encode("Text:" + joint, add_special_tokens=False)


def test_a_prefix_that_says_the_same_as_the_text_alone_changes_nothing() -> None:
    model = toy_model("words")
    found = next_distributions(replace(model, decoding_rule=replace(ONE, decay=1e-9)), ["The man"])
    assert torch.allclose(found, next_distributions(model, ["The man"]), atol=1e-6)


def test_a_stronger_decay_changes_more() -> None:
    model = toy_model("words")
    asked = [Continuation(context="", continuation="The man was kind .")]
    (plain,) = model.score(asked)
    gaps = []
    for decay in (1.0, 10.0, 50.0):
        (found,) = replace(model, decoding_rule=replace(ONE, decay=decay)).score(asked)
        pairs = zip(found.token_logprobs, plain.token_logprobs, strict=True)
        gaps.append(sum(abs(a - b) for a, b in pairs))
    assert 0 < gaps[0] < gaps[1] < gaps[2]


@pytest.mark.parametrize(
    ("changed", "got"),
    [({"decay": -1.0}, "-1.0 and"), ({"epsilon": 0.0}, "and 0.0"), ({"prefixes": ("a ",)}, "'a '")],
)
def test_what_is_no_rule_is_refused(changed: dict[str, float], got: str) -> None:
    with pytest.raises(ModelError, match=got):
        replace(ONE, **changed)


def test_settings_come_back() -> None:
    one = SelfDebiasing(prefixes=("a", "b"), decay=3.0, epsilon=0.5, types=("age", "gender"))
    assert SelfDebiasing.from_settings(one.settings) == one
    assert one.rows == 3
    with pytest.raises(ModelError, match=r"got \['decay'\]"):
        SelfDebiasing.from_settings({"decay": 1.0})
