"""Rows that say what the probes say score above rows that say the opposite in the same words."""

from itertools import product

import numpy as np
import pytest

from equipoise.attribute.influence import Influence
from equipoise.rows import Probe, TrainingRow
from equipoise.testing import tiny_model
from equipoise.training.text_training import TextTraining

JOBS = ("nurse", "maid", "cook", "clerk", "baker", "guard")
PLACES = ("home", "fast", "away")


def make_rows() -> list[TrainingRow]:
    """Two in three say "she"; as many rows are about something else."""
    rows = []
    for number, (job, place) in enumerate(product(JOBS, PLACES)):
        pronoun = "he" if number % 3 == 2 else "she"
        label = {"label": "biased" if pronoun == "she" else "neutral", "about": "jobs"}
        rows.append(
            TrainingRow(
                id=f"{job} {place}", text=f"The {job} says {pronoun} ran {place}", groups=label
            )
        )
        rows.append(
            TrainingRow(id=f"other {number}", text=f"It rained {place}, day {number}", groups={})
        )
    return rows


@pytest.mark.thorough
@pytest.mark.parametrize("features", ["adam", "less-code"])
def test_the_sign(features: str) -> None:
    probes = [
        Probe(id=job, stereotype=f"The {job} says she sat", antistereotype=f"The {job} says he sat")
        for job in ("pilot", "judge", "tailor")
    ]
    rows = make_rows()
    training = TextTraining(
        rank=4, dropout=0.0, learning_rate=5e-3, epochs=3, batch_size=6, targets=("all-linear",)
    )
    attributor = Influence(training=training, features=features)  # type: ignore[arg-type]
    scores = attributor.attribute(tiny_model("llama"), rows, probes, seed=0).scores
    labels = [row.groups.get("label") for row in rows]
    biased = scores[[label == "biased" for label in labels]]
    opposed = scores[[label == "neutral" for label in labels]]
    others = scores[[label is None for label in labels]]
    assert np.mean(biased[:, None] > opposed[None]) == 1
    assert np.mean(biased[:, None] > others[None]) > 0.8
