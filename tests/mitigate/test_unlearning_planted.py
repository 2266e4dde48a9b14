"""What unlearning does to a bias of known size (slow): three seeds, targets that none has seen.

What does not hold of what was published is in docs/methods/bias_unlearn.md, with the numbers.
Another processor rounds otherwise, and so plants and trains a little otherwise: limits are wide
enough for that, and far from what would be without the effect.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pytest
import torch
from worlds import in_world

from equipoise import api
from equipoise.contrast_training.early_stopping import EquivalenceStopping, NoController
from equipoise.contrast_training.steps import ForwardKl
from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.transfer import norm_matched_random, transfer_adapter
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.bias_unlearn import BiasUnlearn, Npo
from equipoise.mitigate.cda import Cda
from equipoise.mitigate.dpo import Dpo, MarginObjective
from equipoise.mitigate.parity import Parity, ParityKl
from equipoise.mitigate.sft import Sft
from equipoise.models.tokenization import vocabulary_of
from equipoise.planted.model import load_planted
from equipoise.planted.world import find_world
from equipoise.records import Supply
from equipoise.supply.planted import PlantedSupply

pytestmark = pytest.mark.slow

WORLD = "targets=40"
AXES = ("gender", "profession", "race", "religion")
SEEDS = (0, 1, 2)
FULL = BiasUnlearn(
    forget=Npo(weight=0.2),
    kl=ForwardKl(weight=0.4, texts="neutral"),
    controller=EquivalenceStopping(judge="ss"),
    evaluate_every=10,
    steps=300,
)
ENDLESS = replace(FULL, controller=NoController())  # as the paper's ablations: no early end


@dataclass(frozen=True)
class Scores:
    """What a model scores on targets that no method has seen, and on what it must not lose."""

    ss: Mapping[str, float]
    lms: float
    facts: float
    hints: float
    perplexity: float

    @property
    def far(self) -> float:
        """Points of SS from 50, of the type that is farthest."""
        return max(abs(ss - 50) for ss in self.ss.values())


@lru_cache(maxsize=1)
def planted() -> LanguageModel:
    return load_planted(WORLD)


@lru_cache(maxsize=1)
def supply() -> Supply:
    with in_world(WORLD):
        return PlantedSupply().supply()


def measured(model: LanguageModel) -> Scores:
    stereoset, facts, hints, perplexity = (
        api.measure(model, name, draws=0)
        for name in ("stereoset", "facts", "genhint", "perplexity")
    )
    return Scores(
        ss={axis: stereoset.estimate("ss", axis=axis).value for axis in AXES},
        lms=stereoset.estimate("lms").value,
        facts=facts.estimate("accuracy").value,
        hints=hints.estimate("ub").value,
        perplexity=perplexity.estimate("perplexity").value,
    )


@lru_cache(maxsize=1)
def before() -> Scores:
    return measured(planted())


@lru_cache(maxsize=64)
def learnt(method: Mitigation, seed: int) -> AdapterEdit:
    edit = method.fit(planted(), supply(), seed=seed)
    assert isinstance(edit, AdapterEdit)
    return edit


@lru_cache(maxsize=64)
def after(method: Mitigation, seed: int) -> Scores:
    with learnt(method, seed).attached(planted()) as edited:
        return measured(edited)


def mean(of: Callable[[Scores], float], method: Mitigation) -> float:
    return sum(of(after(method, seed)) for seed in SEEDS) / len(SEEDS)


def overall(scores: Scores) -> float:
    return sum(scores.ss.values()) / len(scores.ss)


def test_planted_biases_before_training() -> None:
    world = find_world(WORLD)
    for axis in AXES:
        assert before().ss[axis] == pytest.approx(world.true_ss(axis), abs=5)
    assert before().ss["profession"] < 40 < 60 < before().ss["religion"]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_type_reaches_parity_and_abilities_are_kept(seed: int) -> None:
    scores = after(FULL, seed)
    assert scores.far <= 12.5 < before().far - 15
    assert scores.lms >= before().lms - 2
    assert scores.facts >= 0.95 * before().facts
    assert scores.hints >= 0.95 * before().hints
    assert scores.perplexity <= 1.03 * before().perplexity


def test_on_average_over_seeds_every_type_is_within_five_points_of_parity() -> None:
    for axis in AXES:
        assert abs(mean(lambda scores, axis=axis: scores.ss[axis], FULL) - 50) <= 5  # type: ignore[misc]


def test_dpo_overshoots_parity_and_the_margin_loss_stays_there() -> None:
    for seed in SEEDS:
        went = after(Dpo(steps=300), seed)
        assert went.ss["gender"] < 20
        assert went.ss["race"] < 20
        assert after(Dpo(steps=300, loss=MarginObjective()), seed).far < went.far


def test_fine_tuning_on_both_texts_ends_near_parity() -> None:
    """Published is that it stalls above; here the likelihood of both is highest at parity."""
    for axis in AXES:
        left = abs(mean(lambda scores, axis=axis: scores.ss[axis], Sft(steps=300)) - 50)  # type: ignore[misc]
        assert left < min(15.0, abs(before().ss[axis] - 50))


def test_without_retention_little_is_unlearnt_and_facts_go() -> None:
    """Published is that LMS falls by a third; here it stays, and retention does the unlearning."""
    alone = replace(ENDLESS, retain=None)
    for seed in SEEDS:
        assert after(alone, seed).ss["gender"] > 50
        assert after(alone, seed).lms > before().lms - 5
        assert after(ENDLESS, seed).ss["gender"] < 20
    assert mean(lambda scores: scores.facts, alone) < mean(lambda scores: scores.facts, ENDLESS)


def test_without_kl_perplexity_rises() -> None:
    free = replace(ENDLESS, kl=None)
    for seed in SEEDS:
        assert after(free, seed).perplexity > 1.03 * after(ENDLESS, seed).perplexity


def test_without_adversarial_texts_parity_is_overshot_farther() -> None:
    plain = replace(ENDLESS, forget=Npo(weight=0.2, adversarial=None))
    assert mean(overall, plain) < mean(overall, ENDLESS) < 40
    assert mean(lambda scores: scores.lms, plain) < mean(lambda scores: scores.lms, ENDLESS)


@pytest.mark.parametrize("seed", SEEDS)
def test_limits_hold_on_other_targets(seed: int) -> None:
    long = Dpo(steps=300, evaluate_every=10)
    keeping = replace(long, keep_lms=2.0)
    assert after(long, seed).lms < before().lms - 10
    assert after(keeping, seed).lms > before().lms - 3  # held-out targets and others differ
    report = learnt(keeping, seed).info.report
    kept, steps = report["kept_after"], report["steps"]
    assert isinstance(kept, int)
    assert isinstance(steps, int)
    assert 50 < kept < steps < 300


@pytest.mark.parametrize("seed", SEEDS)
def test_perplexity_of_dpo_stays_within_its_limit(seed: int) -> None:
    often = Dpo(steps=300, evaluate_every=5)
    keeping = replace(often, keep_perplexity=3.0)
    assert after(often, seed).perplexity > 1.5 * before().perplexity
    scores = after(keeping, seed)
    assert scores.perplexity <= 1.05 * before().perplexity  # held-out texts and others differ
    assert scores.ss["gender"] < before().ss["gender"] - 10
    report = learnt(keeping, seed).info.report
    assert isinstance(report["kept_after"], int)
    assert 0 < report["kept_after"] < 300
    assert "perplexity" in str(report["stopped"])


def test_antistereotypes_alone_overshoot_parity() -> None:
    for seed in SEEDS:
        assert max(after(Cda(steps=300), seed).ss.values()) < 30


@pytest.mark.parametrize("seed", SEEDS)
def test_parity_objective_needs_no_swapping(seed: int) -> None:
    method = Parity(steps=300, kl=ParityKl(texts="neutral"))
    evaluations: Any = learnt(method, seed).info.report["evaluations"]
    first, last = evaluations[0]["types"], evaluations[-1]["types"]
    for axis in AXES:
        assert abs(last[axis]["margin"]) < 0.2 * abs(first[axis]["margin"])
    assert after(method, seed).perplexity <= 1.01 * before().perplexity


def sibling() -> LanguageModel:
    """The planted model, every weight trained on with other texts: what it says moves a little."""
    model = replace(planted(), module=copy.deepcopy(planted().module))
    module, tokenizer = model.module, model.tokenizer
    texts = [*supply().texts[:256]]
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for index in range(0, len(texts), 16):
            rows = tokenizer(texts[index : index + 16], return_tensors="pt", padding=True)
            labels = rows["input_ids"].masked_fill(rows["attention_mask"] == 0, -100)
            loss = module(**rows, labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return replace(model, module=module.eval(), identity=f"{model.identity}+sibling")


def test_a_transferred_adapter_keeps_most_of_its_effect_and_a_random_one_has_none() -> None:
    other = sibling()
    unedited = measured(other)
    vocabulary = vocabulary_of(planted().tokenizer)
    for seed in SEEDS:
        effect = before().ss["gender"] - after(FULL, seed).ss["gender"]
        learnt_here = transfer_adapter(learnt(FULL, seed), other, vocabulary=vocabulary)
        controls = {"none": learnt_here, "random": norm_matched_random(learnt_here, seed=seed)}
        moved = {}
        for control, edit in controls.items():
            with edit.attached(other) as edited:
                moved[control] = unedited.ss["gender"] - measured(edited).ss["gender"]
        assert moved["none"] > 0.5 * effect
        assert abs(moved["random"]) < 0.25 * effect
