"""Claims that BiasDiff rests on, each on a planted world that the model can learn.

docs/methods/biasdiff.md has the numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn

import equipoise as eq
from equipoise.data.sources import reading_from
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.retraining import Retraining
from equipoise.planted.folder import find_folder
from equipoise.records import Supply
from equipoise.rows import Probe, TrainingRow
from equipoise.supply.mix import MixSupply
from equipoise.training.text_training import TextTraining, train_once

from . import plain

pytestmark = pytest.mark.slow

TRAINING = TextTraining(learning_rate=2e-3, epochs=6, targets=("all-linear",), dropout=0.0)


@pytest.fixture(scope="module")
def supply() -> Supply:
    """Biased rows say to which pronoun a profession leans."""
    with reading_from(find_folder("planted:strength=1")):
        mix = MixSupply(
            mix="planted_hard_mix", stated="pronouns", rows=400, probe_count=60, dev_count=60
        )
        return mix.supply()


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return eq.load("planted:strength=0.25")


def scores(
    model: LanguageModel,
    parameters: Mapping[str, nn.Parameter],
    rows: Sequence[TrainingRow],
    probes: Sequence[Probe],
) -> NDArray[np.float64]:
    """Cosine of each row's gradient with the mean direction of contrastive probes: [row]."""

    def gradients(texts: Sequence[str]) -> NDArray[np.float64]:
        given = [TrainingRow(id=str(number), text=text) for number, text in enumerate(texts)]
        tokens = TRAINING.tokenize(model, given)
        return np.array(
            [
                plain.flat(plain.gradient(model, parameters, (tokens.ids[row], places)))
                for row in range(len(texts))
                for places in [tokens.positions(row)]
            ]
        )

    def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

    biased = gradients([probe.stereotype for probe in probes])
    other = gradients([str(probe.antistereotype) for probe in probes])
    direction = unit(biased - other).mean(axis=0)
    cosines: NDArray[np.float64] = unit(gradients([row.text for row in rows])) @ direction
    return cosines


def test_gradients_of_the_adapter_stand_for_those_of_the_weights_it_sits_on(
    model: LanguageModel, supply: Supply
) -> None:
    rows = [*supply.rows][::4]
    direction = supply.probes[0].groups["direction"]
    probes = [probe for probe in supply.probes if probe.groups["direction"] == direction][:20]
    assert len(probes) > 10
    trained = train_once(TRAINING, model, supply.rows, seed=0)
    with trained.attached(model) as adapter:
        by_adapter = scores(model, adapter, rows, probes)
        weights = {
            name: parameter
            for name, parameter in model.module.named_parameters()
            if name.endswith("base_layer.weight")
        }
        by_weights = scores(model, weights, rows, probes)
    agreement = spearmanr(by_adapter, by_weights).statistic
    print("adapter and weights", agreement)
    assert agreement > 0.8


def test_the_loss_on_biased_probes_goes_with_the_bias_of_others(
    model: LanguageModel, supply: Supply
) -> None:
    biased = [place for place, row in enumerate(supply.rows) if row.biased]
    neutral = [place for place, row in enumerate(supply.rows) if not row.biased]
    margin = Retraining(model=model, rows=supply.rows, probes=supply.dev_probes, training=TRAINING)
    loss = replace(margin, probes=supply.probes, outcome="likelihood")
    shown = []
    for share in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0):
        part = sorted([*biased[: round(share * len(biased))], *neutral])
        shown.append(
            [
                np.mean(measured.trained(part, seed=0, steps=120)["outcomes"])
                for measured in (loss, margin)
            ]
        )
    likelihood, bias = np.array(shown).T
    print("nats", -likelihood, "margin", bias)
    assert spearmanr(likelihood, bias).statistic > 0.9
