"""A conversation is scored by the assistant's turns, which are what is learnt of it."""

import numpy as np
import pytest

from equipoise.attribute.influence import Influence
from equipoise.influence.warm_up import warm_up_of
from equipoise.rows import TrainingRow
from equipoise.training.text_training import train_once

from . import plain
from .making import PROBES, TRAINING, small

TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"


@pytest.mark.thorough
def test_rows_with_messages_are_scored_by_the_answer() -> None:
    model = small()
    model.tokenizer.chat_template = TEMPLATE
    rows = [
        TrainingRow(id=str(number), messages=(("user", "Who ran?"), ("assistant", answer)))
        for number, answer in enumerate(("she ran", "he ran", "no", "the nurse"))
    ]
    training = TRAINING.__class__(**{**vars(TRAINING), "max_tokens": 80, "epochs": 1})
    attribution = Influence(training=training, features="adam", reduce="mean").attribute(
        model, rows, PROBES, seed=0
    )
    tokens = training.tokenize(model, rows)
    texts = [(tokens.ids[row], tokens.positions(row)) for row in range(len(rows))]
    assert all(len(places) < len(ids) / 2 for ids, places in texts)
    pairs = []
    for probe in PROBES:
        sides = [TrainingRow(id=text, text=text) for text in probe.texts]
        read = training.tokenize(model, sides)
        pairs.append(tuple((read.ids[side], read.positions(side)) for side in range(2)))
    trained = train_once(training, model, rows, seed=0)
    warm_up = warm_up_of(model, trained, last=False)
    gradients = [
        plain.gradients(model, trained.config, checkpoint, texts, pairs)
        for checkpoint in warm_up.checkpoints
    ]
    expected = plain.scores(gradients, warm_up.weights)
    assert attribution.scores == pytest.approx(expected.mean(axis=1), abs=2e-5)
    assert np.std(attribution.scores) > 0.001
