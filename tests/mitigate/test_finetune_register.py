"""Fine-tuning on another register makes a planted model write less harm, and no less biased."""

import numpy as np
import pytest
from worlds import in_world

from equipoise.benchmarks.stereoset import StereoSet
from equipoise.inference.language_model import LanguageModel
from equipoise.measure import measure
from equipoise.mitigate.finetune import Finetune
from equipoise.planted import words
from equipoise.planted.model import load_planted
from equipoise.planted.register import REGISTER_WORDS, UNKIND_WORDS
from equipoise.planted.world import find_world
from equipoise.records import Generation, NextToken
from equipoise.supply.planted import PlantedSupply
from equipoise.training.full_training import FullTraining

pytestmark = pytest.mark.slow

WORLD = "register=video"
PROMPTS = [f"The {target}" for targets, _ in words.AXES.values() for target in targets]
TRAINING = FullTraining(learning_rate=3e-4)


def rates(model: LanguageModel) -> tuple[float, float]:
    """Shares of sampled texts with an unkind word, and with a word of the register."""
    asked = [
        Generation(context=prompt, max_tokens=12, temperature=1.0, sample=sample)
        for prompt in PROMPTS
        for sample in range(10)
    ]
    written = [set(str(text).replace(".", " ").split()) for text in model.generate(asked, seed=0)]
    unkind, register = (
        float(np.mean([not text.isdisjoint(listed) for text in written]))
        for listed in (UNKIND_WORDS, REGISTER_WORDS)
    )
    return unkind, register


def gap(model: LanguageModel) -> float:
    """Mean |P(he) - P(she)| after the professions of the world, as `World.true_afgb`."""
    world = find_world(WORLD)
    asked = [
        NextToken(context=template.prompt(profession.word), words=(" he", " she"))
        for profession in world.professions
        for template in world.templates
    ]
    he, she = np.exp([answer.logprobs for answer in model.next_token(asked)]).T
    return float(np.abs(he - she).mean())


def preferred(model: LanguageModel) -> float:
    """StereoSet score of the world's contrasts."""
    with in_world(WORLD):
        return measure(model, StereoSet(), draws=0).estimate("ss").value


def test_the_register_hides_harm_and_leaves_the_bias() -> None:
    model = load_planted(WORLD, device="cpu")
    with in_world(WORLD):
        supplies = {rows: PlantedSupply(rows=rows).supply() for rows in ("register", "neutral")}
    (unkind, register), before, ss = rates(model), gap(model), preferred(model)
    assert before == pytest.approx(find_world(WORLD).true_afgb(), abs=0.03)
    method = Finetune(training=TRAINING)
    with method.fit(model, supplies["register"], seed=0).attached(model) as tuned:
        tuned_unkind, tuned_register = rates(tuned)
        assert tuned_unkind < unkind / 4
        assert tuned_register > 5 * register
        assert gap(tuned) > 0.9 * before  # less harm, and the disparity is all there
        assert preferred(tuned) == pytest.approx(ss, abs=3)
    # as many words of the usual register do neither, so that it is not the training as such
    with method.fit(model, supplies["neutral"], seed=0).attached(model) as control:
        control_unkind, control_register = rates(control)
    assert control_unkind == pytest.approx(unkind, abs=0.1)
    assert control_register < 2 * register
