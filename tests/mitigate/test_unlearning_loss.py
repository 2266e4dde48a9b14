"""BiasUnlearn's loss: at the start, which texts a step takes, and what a turn changes."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from contrast_items import LEARNT, SUPPLY, contrasts, loss_of, model, value_of
from torch import Tensor

from equipoise.contrast_training.early_stopping import NoController, TypeMixture
from equipoise.contrast_training.packed_forward import PackedForward, reference_outputs
from equipoise.contrast_training.steps import ForwardKl, likelihood
from equipoise.contrast_training.tokenized import TokenizedContrast, TokenizedText
from equipoise.mitigate.bias_unlearn import (
    BiasUnlearn,
    HeadAdversarial,
    Likelihood,
    Npo,
    Reduction,
    StratifiedAdversarial,
    UnlearningLoss,
    npo,
)
from equipoise.records import Supply
from equipoise.training.lora import lora_config, lora_in_training

MANY = tuple(f"{name} {number}" for name in LEARNT for number in range(2))  # 12 targets
MANY_SUPPLY = Supply(origin="by hand", contrasts=contrasts(MANY), texts=SUPPLY.texts)
ROWS = torch.zeros(1, dtype=torch.long)
BOTH = TypeMixture(directions={"color": 1, "size": 1}, weights={"color": 1.0, "size": 1.0})
REDUCTIONS: tuple[Reduction, ...] = ("per_seq_sum", "per_seq_mean", "batch_mean")


def unlearning(**options: Any) -> UnlearningLoss:
    """The loss on 24 contrasts, none held out."""
    loss = loss_of(BiasUnlearn(controller=NoController(), **options), MANY_SUPPLY)
    assert isinstance(loss, UnlearningLoss)
    return loss


def forgetting(**options: Any) -> UnlearningLoss:
    return unlearning(forget=Npo(weight=1.0, **options), retain=None, kl=None)


def retaining(**options: Any) -> UnlearningLoss:
    return unlearning(forget=None, retain=Likelihood(weight=1.0, **options), kl=None)


def of_type(loss: UnlearningLoss, axis: str) -> list[TokenizedContrast]:
    return list(loss.contrasts[axis])


# --- npo by hand ----------------------------------------------------------------------------------

TOKENS = torch.tensor([2.0, 5.0, 1.0])


def slope(value: Tensor, of: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(value, of)
    return gradient


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_npo_begins_at_two_ln_two_over_beta(reduction: Reduction) -> None:
    value = npo(torch.zeros(3), TOKENS, beta=0.1, reduction=reduction)
    assert float(value) == pytest.approx(13.862943611, abs=1e-5)
    half = npo(torch.zeros(3), TOKENS, beta=0.05, reduction=reduction)
    assert float(half) == pytest.approx(2 * 13.862943611, abs=1e-4)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("beta", [0.1, 2.5])
def test_npo_begins_as_gradient_ascent(reduction: Reduction, beta: float) -> None:
    """Of the mean log-probability: summed over a text's tokens, or averaged over them."""
    logprobs = torch.tensor([-3.0, -8.0, -1.0], requires_grad=True)
    loss = npo(logprobs.detach() - logprobs, TOKENS, beta=beta, reduction=reduction)
    ones = torch.ones(3)
    ascent = -likelihood(logprobs, ones if reduction == "per_seq_sum" else TOKENS)
    torch.testing.assert_close(slope(loss, logprobs), slope(ascent, logprobs))


def test_npo_by_hand() -> None:
    gap = torch.tensor([10.0, -20.0])
    tokens = torch.tensor([5.0, 2.0])
    softplus = [math.log1p(math.exp(-x)) for x in (1.0, -2.0, 0.2, -1.0, -0.4)]
    values = [float(npo(gap, tokens, beta=0.1, reduction=each)) for each in REDUCTIONS]
    assert values == pytest.approx(
        [
            20 * (softplus[0] + softplus[1]) / 2,
            20 * (softplus[2] + softplus[3]) / 2,
            20 * softplus[4],  # r is the mean of 2 and -10: -4
        ],
        rel=1e-5,
    )


def test_npo_saturates_text_by_text_only_where_texts_are_apart() -> None:
    """A text that is forgotten already no longer pulls, unless the batch has one r."""
    gap = torch.tensor([80.0, 0.0, 0.0], requires_grad=True)
    apart = slope(npo(gap, TOKENS, beta=0.1), gap)
    assert float(apart[0] / apart[1]) < 1e-3
    joint = slope(npo(gap, torch.ones(3), beta=0.1, reduction="batch_mean"), gap)
    assert joint[0] == joint[1] == joint[2]


# --- the loss of a step ---------------------------------------------------------------------------


def test_forgetting_begins_at_two_ln_two_over_beta() -> None:
    assert value_of(forgetting()) == pytest.approx(13.863, abs=1e-3)


@pytest.mark.thorough
def test_the_divergence_begins_at_zero_and_the_whole_is_the_weighted_sum() -> None:
    kl = ForwardKl(weight=200)
    whole = unlearning(forget=Npo(weight=0.5), retain=Likelihood(weight=0.3), kl=kl)
    retained = value_of(retaining())
    assert value_of(whole) == pytest.approx(0.5 * 13.863 + 0.3 * retained, abs=2e-3)


@pytest.mark.thorough
def test_what_is_retained_is_the_likelihood_of_antistereotypes() -> None:
    """Of all items at once, so that the order does not matter."""
    for by_token in (False, True):
        loss = retaining(batch=24, by_token=by_token)
        texts = [item.antistereotype for pool in loss.contrasts.values() for item in pool]
        sums = reference_outputs(PackedForward(model()), scored=texts).target_logprobs(texts)
        tokens = torch.tensor([float(len(text.target_positions)) for text in texts])
        expected = float(likelihood(sums, tokens, by_token=by_token))
        assert value_of(loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.thorough
def test_the_first_step_is_gradient_ascent() -> None:
    """The gradient of forgetting equals that of the mean log-probability, on every parameter."""
    of = model()
    loss = forgetting(reduction="batch_mean")
    texts, _, _ = loss.draw(loss.first_phase, 0)
    config = lora_config(of.module, rank=2, alpha=4.0, dropout=0.0)
    with lora_in_training(of, config, seed=0) as new:
        parameters = [parameter.requires_grad_() for parameter in new.values()]
        forgotten = torch.autograd.grad(loss(of.module, ROWS, 0), parameters)
        forward = PackedForward(of)
        readout = forward.read(texts, [text.target_positions for text in texts])
        sums, tokens = forward.text_logprobs(readout)
        expected = torch.autograd.grad(-likelihood(sums, tokens), parameters)
    assert any(bool(gradient.any()) for gradient in expected)
    for gradient, other in zip(forgotten, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-5)


@pytest.mark.thorough
def test_a_mixture_of_less_strength_forgets_and_retains_less() -> None:
    loss = unlearning()
    full = value_of(loss)
    weak = replace(loss.first_phase.mixture, strength=0.25)
    loss.first_phase = replace(loss.first_phase, mixture=weak)
    assert value_of(loss) == pytest.approx(0.25 * full, rel=1e-4)


# --- which texts ----------------------------------------------------------------------------------


def test_a_quarter_of_each_types_antistereotypes_is_forgotten_too() -> None:
    loss = unlearning()
    forget, _ = loss.pools(BOTH)
    for axis in ("color", "size"):
        assert len(loss.adversarial[axis]) == 3  # of 12
        assert forget[axis][:12] == [item.stereotype for item in of_type(loss, axis)]
        antistereotypes = {item.antistereotype for item in of_type(loss, axis)}
        assert set(forget[axis][12:]) < antistereotypes


def test_head_adversarial_takes_the_first_types_only() -> None:
    """As the released code does: the first quarter of the list, type after type."""
    loss = unlearning(forget=Npo(adversarial=HeadAdversarial()))
    assert loss.adversarial["color"] == loss.contrasts["color"][:6]
    assert loss.adversarial["size"] == []


@pytest.mark.parametrize(("share", "count"), [(0.5, 6), (1.0, 12)])
def test_the_adversarial_share(share: float, count: int) -> None:
    loss = unlearning(forget=Npo(adversarial=StratifiedAdversarial(share=share)))
    assert [len(chosen) for chosen in loss.adversarial.values()] == [count, count]


def turned(mixture: TypeMixture, axis: str) -> TypeMixture:
    return replace(mixture, directions={**mixture.directions, axis: -mixture.directions[axis]})


def test_swap_changes_roles_and_neither_sizes_nor_the_adversarial_share() -> None:
    loss = unlearning()
    round_ = turned(BOTH, "color")
    before, retained = loss.pools(BOTH)
    after, retained_after = loss.pools(round_)
    assert {axis: len(pool) for axis, pool in after.items()} == {"color": 15, "size": 15}
    assert after["size"] == before["size"]
    items = of_type(loss, "color")
    assert after["color"][:12] == [item.antistereotype for item in items]
    assert after["color"][:12] == retained["color"]
    partner = {item.antistereotype: item.stereotype for item in items}
    assert after["color"][12:] == [partner[text] for text in before["color"][12:]]
    assert retained_after["color"] == [item.stereotype for item in items]


def sides(loss: UnlearningLoss, texts: Sequence[TokenizedText]) -> Counter[str]:
    stereotypes = {item.stereotype for pool in loss.contrasts.values() for item in pool}
    return Counter("stereotype" if text in stereotypes else "antistereotype" for text in texts)


@pytest.mark.thorough
def test_batches_keep_their_sizes_and_shares_after_a_swap() -> None:
    loss = unlearning()
    shares = []
    for mixture in (BOTH, turned(turned(BOTH, "color"), "size")):
        phase = replace(loss.first_phase, mixture=mixture)
        forgotten: list[TokenizedText] = []
        for step in range(30):  # 120 texts: four epochs of 2 x 15
            forget, retain, kept = loss.draw(phase, step)
            assert (len(forget), len(retain), len(kept)) == (4, 28, 28)
            assert len(sides(loss, retain)) == 1
            forgotten += forget
        shares.append(sides(loss, forgotten))
    assert shares[0] == {"stereotype": 96, "antistereotype": 24}
    assert shares[1] == {"stereotype": 24, "antistereotype": 96}


def test_resting_type_is_in_no_batch_and_still_retained() -> None:
    loss = unlearning()
    resting = replace(BOTH, weights={"color": 0.0, "size": 1.0})
    phase = replace(loss.first_phase, mixture=resting)
    active = {text.ids for item in of_type(loss, "size") for text in item.pair}
    for step in range(5):
        forget, retain, kept = loss.draw(phase, step)
        assert {text.ids for text in (*forget, *retain)} <= active
        assert len(kept) == 28


def test_the_reference_is_computed_of_what_the_steps_may_draw() -> None:
    """Of both texts of every contrast only where a type may be turned before training ends."""
    kl = ForwardKl(batch=2)
    short = unlearning(steps=2, forget=Npo(batch=3), kl=kl)
    drawn = [short.draw(short.first_phase, step) for step in range(2)]
    assert set(short.reference.logprobs) == {text.ids for forget, *_ in drawn for text in forget}
    assert set(short.reference.states) == {text.ids for *_, kept in drawn for text in kept}
    for first, read in ((2, 6), (1, 24)):  # 12 contrasts
        method = BiasUnlearn(steps=2, first_evaluation=first, forget=Npo(batch=3), kl=kl)
        loss = loss_of(method, SUPPLY)
        assert isinstance(loss, UnlearningLoss)
        assert len(loss.reference.logprobs) == read


def test_a_phase_begins_its_own_order() -> None:
    loss = unlearning()
    later = replace(loss.first_phase, number=1, start=7)
    assert loss.draw(later, 7)[:2] != loss.draw(loss.first_phase, 7)[:2]
    assert loss.draw(later, 7)[:2] != loss.draw(loss.first_phase, 0)[:2]
    assert loss.draw(later, 7)[2] == loss.draw(loss.first_phase, 7)[2]  # the KL goes on


@pytest.mark.thorough
@pytest.mark.parametrize("part", ["forget", "retain", "kl"])
def test_omitted_term_takes_no_texts(part: str) -> None:
    loss = unlearning(**{part: None})
    assert math.isfinite(value_of(loss))
    sizes = dict(
        zip(("forget", "retain", "kl"), map(len, loss.draw(loss.first_phase, 0)), strict=True)
    )
    assert sizes == {"forget": 4, "retain": 28, "kl": 28} | {part: 0}
