"""Fine-tuning on the rows of a supply: an adapter of the original model."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from training_rows import QUICK, ROWS, SUPPLY, TEXTS, TRAINING

from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import ModelError, OptionError, RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.finetune import Finetune
from equipoise.plugins import build, options_of
from equipoise.records import Continuation, text_sha256
from equipoise.testing import check_mitigation, tiny_model
from equipoise.training.lora import adapter_tensors
from equipoise.training.text_training import train_once


def fitted(**training: Any) -> AdapterEdit:
    method = build(Mitigation, "finetune", {"training": {**QUICK, **training}})
    edit = method.fit(tiny_model(), SUPPLY, seed=0)
    assert isinstance(edit, AdapterEdit)
    return edit


def test_the_edit_is_the_trained_adapter_and_makes_rows_likelier() -> None:
    edit, model = fitted(), tiny_model()
    trained = train_once(TRAINING, model, ROWS, seed=0)
    for name, value in adapter_tensors(trained.weights).items():
        assert torch.equal(edit.tensors[name], value)
    asked = [Continuation(context="", continuation=row.text) for row in ROWS]
    before = sum(scored.mean for scored in model.score(asked))
    with edit.attached(model) as edited:
        after = sum(scored.mean for scored in edited.score(asked))
    assert after > before + len(ROWS) * 0.1


def test_its_report_says_what_was_learnt() -> None:
    report = fitted().info.report
    numbers = ("rows", "rows_biased", "steps", "rows_left_out", "learning_rate")
    assert [report[name] for name in numbers] == [24, 8, 6, 0, 1e-2]
    assert report["tokens"] == 2 * sum(len(row.text) for row in ROWS)
    assert report["last_loss"] < report["first_loss"]  # type: ignore[operator]


def test_rows_without_labels_are_not_counted_as_neutral() -> None:
    plain = replace(SUPPLY, rows=[replace(row, groups={}) for row in ROWS])
    report = Finetune(training=TRAINING).fit(tiny_model(), plain, seed=0).info.report
    assert report["rows_biased"] is None


def test_rows_alone_are_learnt_so_probes_may_be_measured() -> None:
    assert fitted().info.trained_on == {text_sha256(row.text) for row in ROWS}
    assert text_sha256(TEXTS[0]) not in fitted().info.trained_on


def test_a_seed_is_another_training() -> None:
    method = Finetune(training=TRAINING)
    first, second = (method.fit(tiny_model(), SUPPLY, seed=seed) for seed in (0, 1))
    assert first.content != second.content


def test_a_supply_without_rows_is_refused() -> None:
    with pytest.raises(RecipeError, match="must have training rows, got 0 from 'rows by hand'"):
        Finetune(training=TRAINING).fit(tiny_model(), replace(SUPPLY, rows=()), seed=0)


def test_a_masked_model_is_refused() -> None:
    with pytest.raises(ModelError, match="is masked"):
        Finetune(training=TRAINING).fit(tiny_model("bert"), SUPPLY, seed=0)


def test_options_of_the_training_are_checked() -> None:
    with pytest.raises(OptionError, match="'learning_rat'; did you mean 'learning_rate'"):
        build(Mitigation, "finetune", {"training": {"learning_rat": 1.0}})
    with pytest.raises(OptionError, match=r"finetune\.training has no choice 'full'"):
        build(Mitigation, "finetune", {"training": {"name": "full"}})
    with pytest.raises(OptionError, match="epochs"):
        build(Mitigation, "finetune", {"training": {"epochs": 0}})
    method = build(Mitigation, "finetune", {"training": {"epochs": 2}})
    assert options_of(method)["training"]["name"] == "lora"  # type: ignore[call-overload,index]


def test_it_holds_what_every_mitigation_must() -> None:
    check_mitigation(Finetune(training=TRAINING), supply=SUPPLY)
