"""Rows and probes of a tiny model, and processes that start with everything imported."""

import multiprocessing
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext

import pytest

from equipoise.inference.language_model import LanguageModel
from equipoise.rows import Probe, TrainingRow
from equipoise.training.text_training import TextTraining, TrainedText, train_once

from .making import PROBES, TRAINING, make_rows, small


@dataclass(frozen=True, kw_only=True)
class Learnt:
    model: LanguageModel
    rows: tuple[TrainingRow, ...]
    probes: tuple[Probe, ...]
    training: TextTraining
    trained: TrainedText


@pytest.fixture(scope="session")
def learnt() -> Learnt:
    """A model, what it is trained on, and the warm-up."""
    model, rows = small(), make_rows(16)
    trained = train_once(TRAINING, model, rows, seed=0)
    return Learnt(model=model, rows=rows, probes=PROBES, training=TRAINING, trained=trained)


@pytest.fixture(scope="session")
def server() -> ForkServerContext:
    """Starts processes that have imported everything and done nothing."""
    context = multiprocessing.get_context("forkserver")
    plug_ins = [f"equipoise.attribute.{name}" for name in ("influence", "gradient_norm", "loss")]
    context.set_forkserver_preload([*plug_ins, "equipoise.testing", "transformers.models.llama"])
    return context
