"""What attributions show on a planted world whose biased rows are known, and a model can learn.

docs/methods/biasdiff.md has the numbers of more settings and seeds.
"""

import numpy as np
import pytest

import equipoise as eq
from equipoise.attribute.influence import Influence
from equipoise.attribute.label import Label
from equipoise.attribute.random import Random
from equipoise.data.sources import reading_from
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.removal import Removal
from equipoise.influence.retraining import Retraining
from equipoise.planted.folder import find_folder
from equipoise.records import Supply
from equipoise.stats.attribution_quality import QualitySettings, judge_attributions
from equipoise.supply.mix import MixSupply
from equipoise.training.text_training import TextTraining

pytestmark = pytest.mark.slow

TRAINING = TextTraining(learning_rate=2e-3, epochs=6, targets=("all-linear",), dropout=0.0)
JUDGED = QualitySettings(shares=(0.35,), draws=500, permutations=200)


@pytest.fixture(scope="module")
def supply() -> Supply:
    """Neutral rows have the frames of the biased rows in part."""
    with reading_from(find_folder("planted:strength=1")):
        mix = MixSupply(
            mix="planted_hard_mix",
            stated="pronouns",
            rows=400,
            probe_count=60,
            dev_count=60,
            held_out=150,
        )
        return mix.supply()


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return eq.load("planted:strength=0.25")


def test_biased_rows_teach_the_bias_and_neutral_rows_do_not(
    model: LanguageModel, supply: Supply
) -> None:
    retraining = Retraining(
        model=model, rows=supply.rows, probes=supply.dev_probes, training=TRAINING
    )
    neutral = [place for place, row in enumerate(supply.rows) if not row.biased]
    base = np.mean(retraining.base()["outcomes"])
    full = np.mean(retraining.trained(range(len(supply.rows)), seed=0)["outcomes"])
    without = np.mean(retraining.trained(neutral, seed=0)["outcomes"])
    assert full - base > 2
    assert abs(without - base) < 0.5


def test_rows_that_taught_rank_first_if_the_two_directions_of_probes_stay_apart(
    model: LanguageModel, supply: Supply
) -> None:
    attributors = {
        "influence": Influence(training=TRAINING),
        "mean": Influence(training=TRAINING, reduce="mean"),
        "batches": Influence(training=TRAINING, batch=16),
        "random": Random(),
    }
    scored = {
        name: method.attribute(model, supply.rows, supply.probes, seed=0)
        for name, method in attributors.items()
    }
    judged = judge_attributions(scored, supply.rows, baselines=("random",), settings=JUDGED)
    by_name = {quality.attributor: quality for quality in judged}
    precision = by_name["influence"].value("average_precision")
    assert precision.estimate.low > precision.chance + 0.2
    for name in ("mean", "batches"):
        assert by_name[name].value("average_precision").estimate.high < precision.estimate.low
    assert by_name["influence"].versus[0].difference.low > 0


def test_little_is_learnt_without_labelled_rows_and_less_without_scored_than_without_random(
    model: LanguageModel, supply: Supply
) -> None:
    attributors = {
        "influence": Influence(training=TRAINING),
        "label": Label(),
        "random": Random(),
    }
    scored = {
        name: method.attribute(model, supply.rows, supply.probes, seed=0)
        for name, method in attributors.items()
    }
    removal = Removal(shares=(0.35,), seeds=1, training=TRAINING)
    drawn = removal.curves(model, supply, scored, against=("random",))
    curves = {curve.attributor: curve for curve in drawn}
    full = curves["label"].full.bias.value
    assert curves["label"].points[0].bias.value < full / 4
    assert curves["random"].points[0].bias.value > full / 2
    assert curves["influence"].versus[0].difference.high < 0
