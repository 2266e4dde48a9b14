"""Gradient ascent: the fine-tuning's loss turned round, until neutral text pays for it."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from training_rows import ROWS, SUPPLY, TRAINING, Known

from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import ModelError
from equipoise.mitigate.gradient_ascent import GradientAscent
from equipoise.testing import check_mitigation, tiny_model
from equipoise.training.row_forward import RowForward
from equipoise.training.text_training import train_once

#: Dropout off, so that losses are those of the model as it is.
PLAIN = replace(TRAINING, dropout=0.0)


def method(**options: Any) -> GradientAscent:
    chosen = {"training": PLAIN, "attributor": Known(), "share": 1 / 3, "learning_rate": 5e-3}
    return GradientAscent(**{**chosen, "batch_size": 8, "most_rise": None, **options})


def fitted(**options: Any) -> AdapterEdit:
    return method(**options).fit(tiny_model(), SUPPLY, seed=0)


@pytest.mark.thorough
def test_its_loss_is_the_negative_of_the_fine_tunings_on_the_selected_rows() -> None:
    model = tiny_model()
    biased = [row for row in ROWS if row.biased]
    rows = PLAIN.tokenize(model, biased)
    forward = RowForward(model)
    trained = train_once(PLAIN, model, ROWS, seed=0)
    with trained.attached(model), torch.no_grad():
        expected = -float(forward.mean_losses(rows).mean())
    report = fitted(steps=3).info.report
    assert report["first_loss"] == pytest.approx(expected, rel=1e-5)
    assert report["last_loss"] < report["first_loss"]  # type: ignore[operator]


@pytest.mark.thorough
def test_it_ends_when_neutral_text_becomes_less_likely() -> None:
    free = fitted(steps=20).info.report
    bounded = fitted(steps=20, most_rise=0.2, evaluate_every=1).info.report
    assert free["stopped_early"] is False
    assert bounded["stopped_early"] is True
    assert bounded["steps"] < 20  # type: ignore[operator]


@pytest.mark.thorough
def test_by_default_it_is_bounded() -> None:
    assert GradientAscent().most_rise == 0.05
    with pytest.raises(ModelError, match="must leave neutral texts within 5 % of their perplexity"):
        fitted(most_rise=0.05, learning_rate=0.5)


@pytest.mark.thorough
def test_it_holds_what_every_mitigation_must() -> None:
    check_mitigation(method(steps=2), supply=SUPPLY)
