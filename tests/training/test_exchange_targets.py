"""Targets alike for groups, on toy distributions and on texts of a tiny model."""

import math

import pytest
import torch
from torch import Tensor

from equipoise.exchange.texts import as_it_is, exchange_lists, exchanged_texts
from equipoise.testing import tiny_model
from equipoise.training.exchange_targets import TargetRule, exchange_targets
from equipoise.training.group_tokens import GroupTokens

# a vocabulary of he, she, his, him, her, and three words of no group
HE, SHE, HIS, HIM, HER = range(5)
SEXES = GroupTokens({"gender": [([HE], [SHE]), ([HIS, HIM], [HER])]})
HIM_MOVED, HER_MOVED, NO_SEX = {"gender": 0}, {"gender": 1}, {"profession": 0}
ABOUT_HIM = [0.2, 0.1, 0.1, 0.05, 0.05, 0.3, 0.15, 0.05]
ABOUT_HER = [0.06, 0.3, 0.02, 0.02, 0.1, 0.1, 0.3, 0.1]


def rule(**options: object) -> TargetRule:
    usual = {"groups": SEXES, "mean": "geometric", "settled": math.inf, "strength": 1.0, "top": 7}
    return TargetRule(**{**usual, **options})  # type: ignore[arg-type]


def shares(learning: TargetRule, texts: list[list[float]], moves: list[dict[str, int]]) -> Tensor:
    """Whole targets: [text, token]."""
    logprobs = torch.tensor(texts).double().log()[:, None]
    whole = torch.zeros(len(texts), 8).double()
    for row, (tokens, values, _) in zip(whole, learning.targets(logprobs, moves), strict=True):
        row[tokens[0]] = values[0, :-1]
        row[(row == 0).nonzero()] = values[0, -1]  # the single token that is left
    return whole


def exchanged(row: list[float]) -> list[float]:
    """What is said of her where this is said of him: within a class shares are each text's own."""
    he, she, his, him, her, *others = row
    return [she, he, her * 0.75, her * 0.25, his + him, *others]


@pytest.mark.parametrize("mean", ["geometric", "arithmetic"])
def test_what_is_alike_for_both_sexes_stays(mean: str) -> None:
    about_her = exchanged(ABOUT_HIM)
    targets = shares(rule(mean=mean), [ABOUT_HIM, about_her], [HIM_MOVED, HER_MOVED])
    assert torch.allclose(targets, torch.tensor([ABOUT_HIM, about_her]).double())


def test_each_sex_gets_the_mean_of_what_follows_its_own_words() -> None:
    him, her = shares(rule(), [ABOUT_HIM, ABOUT_HER], [HIM_MOVED, HER_MOVED])
    assert him[HE].item() == pytest.approx(her[SHE].item()) == pytest.approx((0.2 + 0.3) / 2)
    assert him[SHE].item() == pytest.approx(her[HE].item()) == pytest.approx((0.1 + 0.06) / 2)
    assert (him[HIS] + him[HIM]).item() == pytest.approx((0.15 + 0.1) / 2)
    assert (him[HIS] / him[HIM]).item() == pytest.approx(2)  # as the model has it
    assert torch.allclose(him[5:], her[5:])  # words of no group are foretold alike
    roots = torch.tensor([math.sqrt(a * b) for a, b in zip(ABOUT_HIM, ABOUT_HER, strict=True)][5:])
    assert torch.allclose(him[5:] / him[5:].sum(), (roots / roots.sum()).double())
    assert torch.allclose(him.sum(), torch.ones(()).double())


def test_of_an_arithmetic_mean_probabilities_are_the_mean() -> None:
    him, _ = shares(
        rule(mean="arithmetic", groups=GroupTokens({})),
        [ABOUT_HIM, ABOUT_HER],
        [HIM_MOVED, HER_MOVED],
    )
    assert torch.allclose(him, (torch.tensor(ABOUT_HIM) + torch.tensor(ABOUT_HER)).double() / 2)


def test_where_no_sex_is_mentioned_both_come_out_alike_with_their_mass() -> None:
    (target,) = shares(rule(), [ABOUT_HIM], [NO_SEX])
    expected = [0.15, 0.15, 0.1 * 2 / 3, 0.1 / 3, 0.1, 0.3, 0.15, 0.05]
    assert torch.allclose(target, torch.tensor(expected).double())


def test_targets_do_not_depend_on_which_text_is_the_first() -> None:
    texts, moves = [ABOUT_HIM, ABOUT_HER, ABOUT_HIM[::-1]], [HIM_MOVED, HER_MOVED, HER_MOVED]
    targets = shares(rule(settled=0.5), texts, moves)
    turned = shares(rule(settled=0.5), texts[::-1], moves[::-1])
    assert torch.allclose(targets, turned.flip(0))


def test_a_text_that_depends_on_its_group_keeps_what_the_model_says() -> None:
    capitals = [[0.01] * 5 + [0.9, 0.02, 0.03], [0.01] * 5 + [0.02, 0.9, 0.03]]
    kept = shares(rule(settled=0.01), capitals, [HIM_MOVED, HER_MOVED])
    assert torch.allclose(kept, torch.tensor(capitals).double())
    mixed = shares(rule(settled=math.inf), capitals, [HIM_MOVED, HER_MOVED])
    assert torch.allclose(mixed[0, 5:], mixed[1, 5:])
    # divergence of 0.7 nats: half of it lets e^-1 through
    between = shares(rule(settled=0.33), capitals, [HIM_MOVED, HER_MOVED])
    assert kept[0, 5] > between[0, 5] > mixed[0, 5]


def test_strength_goes_from_the_model_to_the_target() -> None:
    whole = shares(rule(), [ABOUT_HIM], [NO_SEX])
    half = shares(rule(strength=0.5), [ABOUT_HIM], [NO_SEX])
    none = shares(rule(strength=0.0), [ABOUT_HIM], [NO_SEX])
    unchanged = torch.tensor([ABOUT_HIM]).double()
    assert torch.allclose(none, unchanged)
    assert torch.allclose(half, (unchanged + whole) / 2)


def test_what_is_not_kept_apart_is_a_single_share() -> None:
    logprobs = torch.tensor([[ABOUT_HIM]]).log()
    ((tokens, values, nats),) = rule(top=2).targets(logprobs, [NO_SEX])
    assert tokens[0, 0] == 5
    assert values[0, 0].item() == pytest.approx(0.3)
    assert values.sum().item() == pytest.approx(1)
    assert values.shape == (1, 3)
    assert nats.item() == pytest.approx(0)  # what has changed is not kept apart


def test_the_divergence_is_that_of_what_is_kept_apart() -> None:
    logprobs = torch.tensor([[ABOUT_HIM]]).log()
    ((tokens, values, nats),) = rule(top=4).targets(logprobs, [NO_SEX])
    kept = torch.tensor(ABOUT_HIM)[tokens[0]]
    before = torch.cat([kept, 1 - kept.sum(0, keepdim=True)])
    assert nats.item() == pytest.approx((values[0] * (values[0] / before).log()).sum().item())
    assert nats.item() > 0


def test_words_of_an_axis_move_with_its_groups() -> None:
    groups = GroupTokens({"race": [([5], [6], [7])]})
    # the second text is about the group after the first's
    him, her = shares(rule(groups=groups), [ABOUT_HIM, ABOUT_HER], [{"race": 0}, {"race": 1}])
    assert him[5].item() == pytest.approx(her[6].item()) == pytest.approx((0.3 + 0.3) / 2)
    assert him[6].item() == pytest.approx(her[7].item()) == pytest.approx((0.15 + 0.1) / 2)
    assert him[7].item() == pytest.approx(her[5].item()) == pytest.approx((0.05 + 0.1) / 2)


def test_a_word_without_a_counterpart_keeps_what_the_model_says() -> None:
    groups = GroupTokens({"race": [([5], [], [7])]})
    him, her = shares(rule(groups=groups), [ABOUT_HIM, ABOUT_HER], [{"race": 0}, {"race": 1}])
    assert him[5].item() == pytest.approx(0.3)  # the group after it has no token
    assert him[7].item() == pytest.approx((0.05 + 0.1) / 2)
    assert her[5].item() == pytest.approx((0.05 + 0.1) / 2)


def test_words_of_an_axis_that_is_not_mentioned_are_no_less_likely_for_it() -> None:
    groups = GroupTokens({"race": [([5], [6], [7])]})
    him, her = shares(rule(groups=groups), [ABOUT_HIM, ABOUT_HER], [HIM_MOVED, HER_MOVED])
    assert torch.allclose(him[5:], torch.tensor([0.2, 0.225, 0.075]).double())
    assert torch.allclose(him, her)


def test_a_token_of_two_groups_is_of_none_and_a_class_of_one_group_is_dropped() -> None:
    groups = GroupTokens({"religion": [([1, 2], [2, 3]), ([4], [])], "race": [([3], [6], [7])]})
    assert groups.ids.tolist() == [1, 3, 6, 7]
    assert groups.counts == {"religion": 2, "race": 2}


def test_words_of_no_group_may_stay_as_they_are() -> None:
    him, her = shares(rule(mean=None), [ABOUT_HIM, ABOUT_HER], [HIM_MOVED, HER_MOVED])
    assert him[HE].item() == pytest.approx(her[SHE].item())
    assert torch.allclose(him[5:] / him[5:].sum(), torch.tensor([0.6, 0.3, 0.1]).double())
    assert torch.allclose(her[5:] / her[5:].sum(), torch.tensor([0.2, 0.6, 0.2]).double())


def test_places_are_those_that_all_texts_of_a_set_have() -> None:
    model, lists = tiny_model("llama", context=512), exchange_lists(("gender", "race"))
    sets = [
        exchanged_texts("He is a black man of good will.", lists, most=3, seed=0),
        (as_it_is("It rains."),),
        exchanged_texts("She said: " + "so " * 300, lists, most=1, seed=0),
    ]
    learning = exchange_targets(model, sets, rule(groups=GroupTokens({})), max_tokens=128)
    assert learning.left_out == {"longer than max_tokens": 1}
    assert learning.sets == [0, 0, 0, 0, 1]
    counts = {len(target.places) for target in learning.targets[:4]}
    assert len(counts) == 1
    for places in zip(*(target.places for target in learning.targets[:4]), strict=True):
        foretold = {
            row[place] if place < len(row) else None
            for row, place in zip(learning.ids, places, strict=False)
        }
        if places[0] > 20:  # behind the last word that changes
            assert len(foretold) == 1
    alone = learning.targets[4]
    assert alone.places == list(range(1, len(learning.ids[4]) + 1))
    assert alone.before.abs().max() < 1e-5  # nothing to change
    assert learning.targets[0].before.max() > 0
    assert torch.allclose(alone.shares.sum(-1), torch.ones(len(alone.places)))


def test_a_share_of_sets_is_kept_apart_whole() -> None:
    model, lists = tiny_model("llama", context=512), exchange_lists(("gender",))
    texts = ["He left.", "She sat.", "It rains.", "His hat.", "Her bag is here."]
    sets = [exchanged_texts(text, lists, most=1, seed=0) or (as_it_is(text),) for text in texts]
    learning = exchange_targets(model, sets, rule(groups=GroupTokens({})), max_tokens=64)
    learnt, apart = learning.split(0.4, seed=1)
    assert set(learnt.sets).isdisjoint(apart.sets)
    assert len(set(apart.sets)) == 2
    assert len(learnt.ids) + len(apart.ids) == len(learning.ids)
    assert len(learnt.rows().index) == len(learnt.ids)
