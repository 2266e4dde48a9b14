"""The dual objective: every switch against a formula written out by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from training_rows import ROWS, SUPPLY, TRAINING, Known

from equipoise.edits.adapter import AdapterEdit
from equipoise.mitigate.dual_objective import DualObjective
from equipoise.mitigate.finetune import Finetune
from equipoise.records import Continuation
from equipoise.testing import check_mitigation, tiny_model

KEPT = [torch.tensor([-1.0, -3.0]), torch.tensor([-0.5])]
SELECTED = [torch.tensor([-2.0, -1.0, -0.3]), torch.tensor([-4.0])]
REFERENCE = [torch.tensor([-1.0, -1.5, -0.2]), torch.tensor([-2.5])]
WEIGHTS = [torch.tensor([0.5, 2.0]), torch.tensor([3.0])]


def log_sigmoid(value: float) -> float:
    return -math.log(1 + math.exp(-value))


def value(*, weights: bool = False, reference: bool = False, **options: Any) -> float:
    method = DualObjective(**options)
    loss = method.value(
        KEPT, WEIGHTS if weights else None, SELECTED, REFERENCE if reference else None
    )
    return float(loss)


def forgetting(first: float, second: float, *, beta: float = 0.1, gamma: float = 0.0) -> float:
    terms = [log_sigmoid(-beta * ratio - gamma) for ratio in (first, second)]
    return -2 / beta * sum(terms) / 2


def test_by_default_both_parts_are_means_over_tokens_without_a_reference() -> None:
    assert value() == pytest.approx((2.0 + 0.5) / 2 + forgetting(-1.1, -4.0))


def test_without_length_norm_both_are_sums() -> None:
    expected = (4.0 + 0.5) / 2 + forgetting(-3.3, -4.0)
    assert value(length_norm=False) == pytest.approx(expected)


def test_with_a_reference_it_is_of_ratios() -> None:
    expected = (4.0 + 0.5) / 2 + forgetting(-0.6, -1.5)
    assert value(length_norm=False, reference=True) == pytest.approx(expected)


def test_beta_gamma_and_retain() -> None:
    expected = 0.5 * (2.0 + 0.5) / 2 + forgetting(-1.1, -4.0, beta=0.4, gamma=1.0)
    assert value(beta=0.4, gamma=1.0, retain=0.5) == pytest.approx(expected)


def test_weights_of_the_kept_tokens() -> None:
    kept = ((0.5 * 1.0 + 2.0 * 3.0) / 2 + 3.0 * 0.5) / 2
    assert value(weights=True) == pytest.approx(kept + forgetting(-1.1, -4.0))


@pytest.mark.parametrize(("norm", "share"), [(True, 1 / 3), (False, 1.0)])
def test_at_token_level_each_token_has_a_sigmoid(norm: bool, share: float) -> None:
    terms = [log_sigmoid(-0.1 * ratio) for ratio in (-2.0, -1.0, -0.3)]
    forgotten = -2 / 0.1 * (share * sum(terms) + log_sigmoid(0.4)) / 2
    kept = (2.0 + 0.5) / 2 if norm else (4.0 + 0.5) / 2
    assert value(level="token", length_norm=norm) == pytest.approx(kept + forgotten)


@pytest.mark.parametrize(
    ("options", "weight"),
    [
        ({"token_weight": "exp"}, math.exp(0.5)),
        ({"token_weight": "exp", "tau": 2.0}, math.exp(0.25)),
        ({"token_weight": "exp", "sign": "program"}, math.exp(-0.5)),
        ({"token_weight": "sigmoid"}, 2 / (1 + math.exp(-0.5))),
        ({"token_weight": "sigmoid", "sign": "program"}, 2 / (1 + math.exp(0.5))),
    ],
)
def test_the_weight_of_a_token_is_its_ratio_of_original_to_biased(
    options: dict[str, Any], weight: float
) -> None:
    method = DualObjective(**options)
    weights = method.weight(torch.tensor([-1.0, -2.0]), torch.tensor([-1.5, -2.0]))
    assert weights.tolist() == pytest.approx([weight, 1.0])


def method(**options: Any) -> DualObjective:
    chosen = {"training": TRAINING, "attributor": Known(), "share": 1 / 3, "learning_rate": 1e-2}
    return DualObjective(**{**chosen, "batch_size": 8, "most_rise": None, **options})


def fitted(**options: Any) -> AdapterEdit:
    return method(**options).fit(tiny_model(), SUPPLY, seed=0)


def loglikelihood(edit: AdapterEdit, *, biased: bool) -> float:
    rows = [row for row in ROWS if row.biased == biased]
    with edit.attached(tiny_model()) as edited:
        scored = edited.score([Continuation(context="", continuation=row.text) for row in rows])
    return sum(row.mean for row in scored) / len(rows)


@pytest.mark.thorough
def test_selected_rows_become_less_likely_and_kept_rows_do_not() -> None:
    before = Finetune(training=TRAINING).fit(tiny_model(), SUPPLY, seed=0)
    edit = fitted(steps=12)
    assert loglikelihood(edit, biased=True) < loglikelihood(before, biased=True) - 0.1
    assert loglikelihood(edit, biased=False) > loglikelihood(before, biased=False)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "options",
    [
        {"reference": "frozen", "length_norm": False},
        {"token_weight": "exp"},
        {"token_weight": "exp", "sign": "program"},
        {"token_weight": "sigmoid", "level": "token"},
    ],
)
def test_every_switch_changes_the_edit(options: dict[str, Any]) -> None:
    assert fitted(steps=2, **options).content != fitted(steps=2).content


@pytest.mark.thorough
def test_the_first_loss_is_that_of_the_biased_model() -> None:
    """With a reference all ratios are 0 at first; without kept rows nothing else is left."""
    plain = replace(TRAINING, dropout=0.0)
    edit = fitted(steps=1, training=plain, reference="frozen", retain=0.0, gamma=0.5)
    expected = -2 / 0.1 * log_sigmoid(-0.5)
    assert edit.info.report["first_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.thorough
def test_tokens_of_kept_rows_are_in_the_budget() -> None:
    report = fitted().info.report
    tokens, budget = float(str(report["tokens"])), float(str(report["finetune_tokens"]))
    assert abs(tokens - budget) <= tokens / float(str(report["steps"])) / 2 + 1
    assert report["steps"] == 3  # of 8 selected and 8 kept rows each


@pytest.mark.thorough
def test_it_holds_what_every_mitigation_must() -> None:
    check_mitigation(method(steps=2), supply=SUPPLY)
