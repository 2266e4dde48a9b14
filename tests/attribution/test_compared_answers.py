"""The other answer is on neither side: where nothing is known of a name, neither leads."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from equipoise.associations.questions import questions
from equipoise.attribution.compared_answers import ComparedAnswers, compare_answers
from equipoise.attribution.contrast_inputs import ContrastInputs, contrast_inputs
from equipoise.attribution.logit_attribution import HeadAttributor
from equipoise.fakes import tiny_model
from equipoise.inference.language_model import LanguageModel
from equipoise.stats.max_t import max_t_p

ASKED = [question for question in questions("always_late") if len(question.text) < 80][:12]
PAIRS = [("Peru", "Chile"), ("Ghana", "Japan"), ("Cuba", "Kenya"), ("Italy", "Nepal")]


def inputs_of(model: LanguageModel, target: str, other: str, *, seed: int) -> ContrastInputs:
    return contrast_inputs(
        model, ASKED, target=target, countries=(other, "India"), choice="random", chat="plain",
        seed=seed,
    )  # fmt: skip


def effects_of(attributor: HeadAttributor, answers: ComparedAnswers) -> tuple[np.ndarray, float]:
    """Contrasts of heads [question, head], and the whole one."""
    about = attributor.attribute(answers.states, answers.first, answers.second)
    other = attributor.attribute(answers.contrast_states, answers.first, answers.second)
    return about.heads - other.heads, float((about.difference - other.difference).mean())


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(4))
def test_a_target_and_another_in_each_others_place_have_opposite_contrasts(seed: int) -> None:
    model = tiny_model("llama", seed=seed)
    attributor = HeadAttributor(model)
    target, other = PAIRS[seed]
    wholes = []
    for names in ((target, other), (other, target)):
        inputs = contrast_inputs(
            model, ASKED, target=names[0], countries=(names[1],), choice="random", chat="plain",
            seed=seed,
        )  # fmt: skip
        answers = compare_answers(attributor, inputs, keep_all=True)
        wholes.append(effects_of(attributor, answers)[1])
    assert wholes[0] == pytest.approx(-wholes[1], abs=1e-5)
    assert wholes[0] != 0


@pytest.mark.slow
def test_false_positives_of_untrained_models_are_at_their_level() -> None:
    """On half of the questions, drawn at random, target and other change places."""
    attributors = [HeadAttributor(tiny_model("llama", seed=seed)) for seed in range(10)]
    generator = np.random.default_rng(0)
    erred, ahead = 0, 0
    for seed, (attributor, pair) in enumerate(product(attributors, PAIRS)):
        inputs = inputs_of(attributor.model, *pair, seed=seed)
        swap = generator.random(len(inputs.biased)) < 0.5
        sides = list(zip(swap, inputs.biased, inputs.contrast, strict=True))
        swapped = replace(
            inputs,
            biased=tuple(other if turned else about for turned, about, other in sides),
            contrast=tuple(about if turned else other for turned, about, other in sides),
        )
        answers = compare_answers(attributor, swapped, keep_all=True)
        effects, whole = effects_of(attributor, answers)
        erred += bool((max_t_p(effects, flips=200, seed=seed) < 0.05).any())
        ahead += whole > 0
    assert erred <= 4  # of 40
    assert 12 < ahead < 28


@pytest.mark.thorough
def test_the_third_is_drawn_by_the_seed_and_is_on_neither_side() -> None:
    model = tiny_model("llama", seed=1)
    first, second = (inputs_of(model, "Peru", "Chile", seed=seed) for seed in (0, 1))
    assert first.third == inputs_of(model, "Peru", "Chile", seed=0).third != second.third
    for asked in (first, second):
        for about, other, third in zip(asked.biased, asked.contrast, asked.third, strict=True):
            assert third not in (about, other)
    named = contrast_inputs(
        model, ASKED, target="Peru", countries=("Chile", "India"), choice="nearest", chat="plain",
        seed=0,
    )  # fmt: skip
    (left,) = {"Chile", "India"} - set(named.others)
    asked_of_it = contrast_inputs(
        model, ASKED, target=left, countries=("Peru",), choice="nearest", chat="plain", seed=0
    )
    assert named.third == asked_of_it.biased
