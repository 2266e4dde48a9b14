"""BiasUnlearn's loss: at the start, which texts a step takes, and what a turn changes."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
import torch
from contrast_items import LEARNT, SUPPLY, contrasts, model
from torch import Tensor

from equipoise.contrast_training.controllers import Mix
from equipoise.contrast_training.losses import Reduction, likelihood
from equipoise.contrast_training.packed_forward import PackedForward, reference_outputs
from equipoise.contrast_training.retention import Holding, held_texts
from equipoise.contrast_training.tokenized import (
    TokenizedContrast,
    TokenizedText,
    tokenize_contrasts,
)
from equipoise.contrast_training.unlearning import Pools, Unlearning, _Loss
from equipoise.mitigate.bias_unlearn import BiasUnlearn
from equipoise.training.lora import lora_config, lora_in_training

MANY = tuple(f"{name} {number}" for name in LEARNT for number in range(2))  # 12 targets
ROWS = torch.zeros(1, dtype=torch.long)
BOTH = Mix(directions={"color": 1, "size": 1}, weights={"color": 1.0, "size": 1.0})


@cache
def items() -> list[TokenizedContrast]:
    return tokenize_contrasts(model(), contrasts(MANY), longest=60)


def options(**changes: object) -> Unlearning:
    return BiasUnlearn(**changes).unlearning()  # type: ignore[arg-type]


def loss_of(chosen: Unlearning, several: Sequence[TokenizedContrast]) -> _Loss:
    reader = PackedForward(model())
    texts = held_texts(
        model(),
        several,
        SUPPLY.texts,
        origin="",
        which=chosen.kl_on,
        places=chosen.kl_places,
        longest=60,
    )
    holding = Holding(texts=texts, batch=chosen.kl_batch, kind=chosen.kl, places=chosen.kl_places)
    scored = [one for item in several for one in (item.stereotype, item.antistereotype)]
    before = reference_outputs(reader, scored=scored, compared=texts)
    return _Loss(reader, chosen, Pools.of(several, chosen, seed=0), holding, before, None, seed=0)


def alone(**weights: float) -> tuple[float, float, float]:
    return (weights.get("forget", 0.0), weights.get("retain", 0.0), weights.get("kl", 0.0))


@pytest.mark.parametrize("reduction", ["per_seq_sum", "per_seq_mean", "batch_mean"])
def test_forgetting_begins_at_two_ln_two_over_beta(reduction: Reduction) -> None:
    loss = loss_of(options(weights=alone(forget=1.0), reduction=reduction), items())
    with torch.no_grad():
        value = float(loss(model().module, ROWS, 0))
    assert value == pytest.approx(2 / 0.1 * math.log(2), abs=1e-3)
    assert value == pytest.approx(13.863, abs=1e-3)


@pytest.mark.parametrize("kind", ["forward", "reverse", "ce_all_positions"])
def test_the_divergence_begins_at_zero_and_the_whole_is_the_weighted_sum(kind: str) -> None:
    with torch.no_grad():
        retained = loss_of(options(weights=alone(retain=1.0)), items())(model().module, ROWS, 0)
        chosen = options(weights=(0.5, 0.3, 200.0), kl=kind)
        whole = loss_of(chosen, items())(model().module, ROWS, 0)
    assert float(whole) == pytest.approx(0.5 * 13.863 + 0.3 * float(retained), abs=2e-3)


def test_what_is_retained_is_the_likelihood_of_antistereotypes() -> None:
    """Of all items at once, so that the order does not matter."""
    for by_token in (False, True):
        chosen = options(weights=alone(retain=1.0), retain_batch=24, retain_by_token=by_token)
        with torch.no_grad():
            found = float(loss_of(chosen, items())(model().module, ROWS, 0))
        reader = PackedForward(model())
        texts = [item.antistereotype for item in items()]
        before = reference_outputs(reader, scored=texts, compared=())
        sums = before.target_logprobs(texts)
        tokens = torch.tensor([float(len(text.target_positions)) for text in texts])
        assert found == pytest.approx(float(likelihood(sums, tokens, by_token=by_token)), rel=1e-4)


@pytest.mark.parametrize("reduction", ["per_seq_sum", "per_seq_mean", "batch_mean"])
def test_the_first_step_is_gradient_ascent(reduction: Reduction) -> None:
    """The gradient of forgetting equals that of the mean log-probability, on every parameter."""
    of = model()
    loss = loss_of(options(weights=alone(forget=1.0), reduction=reduction), items())
    texts, _, _ = loss._texts(loss.unwatched, 0)
    with lora_in_training(
        of, lora_config(of.module, rank=2, alpha=4.0, dropout=0.0), seed=0
    ) as new:
        parameters = [one.requires_grad_() for one in new.values()]
        forgotten = torch.autograd.grad(loss(of.module, ROWS, 0), parameters)
        reader = PackedForward(of)
        read = reader.read(texts, [text.target_positions for text in texts])
        sums = torch.stack([one.sum() for one in read.split(reader.logprobs(read))])
        tokens = torch.tensor(read.counts, dtype=torch.float32)
        ones = torch.ones_like(tokens)
        ascent = -likelihood(sums, ones if reduction == "per_seq_sum" else tokens)
        expected = torch.autograd.grad(ascent, parameters)
    assert any(bool(one.any()) for one in expected)
    for one, other in zip(forgotten, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_mix_of_less_strength_forgets_and_retains_less_and_holds_as_before() -> None:
    loss = loss_of(options(), items())
    with torch.no_grad():
        full = float(loss(model().module, ROWS, 0))
        loss.unwatched = replace(loss.unwatched, mix=replace(loss.unwatched.mix, strength=0.25))
        assert float(loss(model().module, ROWS, 0)) == pytest.approx(0.25 * full, rel=1e-4)


# --- which texts ----------------------------------------------------------------------------------


def test_a_quarter_of_each_types_antistereotypes_is_forgotten_too() -> None:
    pools = Pools.of(items(), options(), seed=0)
    forget = pools.forget(BOTH)
    for axis in ("color", "size"):
        own = [item for item in items() if item.axis == axis]
        assert len(pools.adversarial[axis]) == 3  # of 12
        assert forget[axis][:12] == [one.stereotype for one in own]
        assert set(forget[axis][12:]) <= {one.antistereotype for one in own}
        assert pools.retain(BOTH)[axis] == [one.antistereotype for one in own]
    other = Pools.of(items(), options(), seed=1)
    assert other.adversarial != pools.adversarial
    assert Pools.of(items(), options(), seed=0) == pools


def test_from_the_head_the_first_types_have_all_of_them() -> None:
    """As the released code does: the first quarter of the list, type after type."""
    mixed = [one for pair in zip(items()[:12], items()[12:], strict=True) for one in pair]
    pools = Pools.of(mixed, options(adversarial_from="head"), seed=0)
    assert len(pools.adversarial["color"]) == 6
    assert pools.adversarial["color"] == pools.items["color"][:6]
    assert pools.adversarial["size"] == []


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.5, 6), (1.0, 12)])
def test_the_adversarial_share(share: float, count: int) -> None:
    pools = Pools.of(items(), options(adversarial=share), seed=0)
    assert [len(one) for one in pools.adversarial.values()] == [count, count]


def turned(mix: Mix, axis: str) -> Mix:
    return replace(mix, directions={**mix.directions, axis: -mix.directions[axis]})


def test_a_turn_changes_roles_and_neither_sizes_nor_the_adversarial_share() -> None:
    pools = Pools.of(items(), options(), seed=0)
    there = turned(BOTH, "color")
    before, after = pools.forget(BOTH), pools.forget(there)
    assert {axis: len(one) for axis, one in after.items()} == {"color": 15, "size": 15}
    assert after["size"] == before["size"]
    own = [item for item in items() if item.axis == "color"]
    assert after["color"][:12] == [one.antistereotype for one in own] == pools.retain(BOTH)["color"]
    partner = {one.antistereotype: one.stereotype for one in own}
    assert after["color"][12:] == [partner[one] for one in before["color"][12:]]
    assert pools.retain(there)["color"] == [one.stereotype for one in own]


def test_turning_twice_is_the_identity() -> None:
    pools = Pools.of(items(), options(), seed=0)
    back = turned(turned(BOTH, "color"), "color")
    assert back == BOTH
    assert pools.forget(back) == pools.forget(BOTH)
    assert pools.retain(back) == pools.retain(BOTH)


def sides(texts: Sequence[TokenizedText]) -> Counter[str]:
    stereotypes = {item.stereotype for item in items()}
    return Counter("stereotype" if text in stereotypes else "antistereotype" for text in texts)


def test_batches_keep_their_sizes_and_shares_after_a_turn() -> None:
    loss = loss_of(options(), items())
    shares = []
    for mix in (BOTH, turned(turned(BOTH, "color"), "size")):
        phase = replace(loss.unwatched, mix=mix)
        forgotten: list[TokenizedText] = []
        for step in range(30):  # 120 texts: four rounds of 2 x 15
            forget, retain, kl = loss._texts(phase, step)
            assert (len(forget), len(retain), len(kl)) == (4, 28, 28)
            assert len(sides(retain)) == 1
            forgotten += forget
        shares.append(sides(forgotten))
    assert shares[0] == {"stereotype": 96, "antistereotype": 24}
    assert shares[1] == {"stereotype": 24, "antistereotype": 96}


def test_a_type_that_rests_is_in_no_batch_and_is_held_all_the_same() -> None:
    loss = loss_of(options(), items())
    phase = replace(loss.unwatched, mix=replace(BOTH, weights={"color": 0.0, "size": 1.0}))
    own = {text.ids for item in items() if item.axis == "size" for text in texts_of(item)}
    for step in range(5):
        forget, retain, kl = loss._texts(phase, step)
        assert {one.ids for one in (*forget, *retain)} <= own
        assert len(kl) == 28


def texts_of(one: TokenizedContrast) -> tuple[TokenizedText, TokenizedText]:
    return (one.stereotype, one.antistereotype)


def test_a_phase_begins_its_own_order() -> None:
    loss = loss_of(options(), items())
    later = replace(loss.unwatched, number=1, start=7)
    assert loss._texts(later, 7)[:2] != loss._texts(loss.unwatched, 7)[:2]
    assert loss._texts(later, 7)[:2] != loss._texts(loss.unwatched, 0)[:2]
    assert loss._texts(later, 7)[2] == loss._texts(loss.unwatched, 7)[2]  # the KL goes on


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_weight_of_zero_leaves_its_texts_out(part: int) -> None:
    chosen = tuple(0.0 if index == part else 1.0 for index in range(3))
    loss = loss_of(options(weights=chosen), items())
    with torch.no_grad():
        value: Tensor = loss(model().module, ROWS, 0)
    assert bool(torch.isfinite(value))
    sizes = [len(text) for text in loss._texts(loss.unwatched, 0)]
    assert sizes[:2] == [0 if part == 0 else 4, 0 if part == 1 else 28]
