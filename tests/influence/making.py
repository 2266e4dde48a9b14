"""A small training set, probes and a warm-up for them."""

import numpy as np

from equipoise.inference.language_model import LanguageModel
from equipoise.rows import Probe, TrainingRow
from equipoise.testing import tiny_model
from equipoise.training.text_training import TextTraining

WORDS = ("nurse", "cook", "she", "he", "ran", "home", "fast")
TRAINING = TextTraining(
    rank=2, alpha=4, dropout=0.0, learning_rate=3e-3, epochs=2, batch_size=8, max_tokens=40
)
PROBES = tuple(
    Probe(
        id=job,
        stereotype=f"A {job}: she ran",
        antistereotype=f"A {job}: he ran",
        groups={"axis": axis},
    )
    for job, axis in (("nurse", "gender"), ("maid", "gender"), ("cook", "age"))
)


def small() -> LanguageModel:
    return tiny_model("llama", width=16)


def make_rows(count: int, *, seed: int = 0) -> tuple[TrainingRow, ...]:
    """Texts of two to five words; some are there twice."""
    generator = np.random.default_rng(seed)
    texts = [" ".join(generator.choice(WORDS, 2 + number % 4)) for number in range(count)]
    texts[-2:] = texts[:2]
    return tuple(TrainingRow(id=f"row{number}", text=text) for number, text in enumerate(texts))
