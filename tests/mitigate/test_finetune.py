"""Fine-tuning on the rows of a supply: an adapter of the original model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_folder import save_tiny
from training_rows import QUICK, ROWS, SUPPLY, TEXTS, TRAINING

from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.registry import load_edit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import DataError, ModelError, OptionError, RecipeError
from equipoise.loading.load import load
from equipoise.loading.merge import merge
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.finetune import Finetune
from equipoise.plugins import build, options_of
from equipoise.records import Continuation
from equipoise.rows import text_sha256
from equipoise.testing import check_mitigation, tiny_model
from equipoise.training.full_training import FullTraining
from equipoise.training.lora import adapter_tensors
from equipoise.training.text_training import train_once


def fitted(**training: Any) -> AdapterEdit:
    method = build(Mitigation, "finetune", {"training": {**QUICK, **training}})
    edit = method.fit(tiny_model(), SUPPLY, seed=0)
    assert isinstance(edit, AdapterEdit)
    return edit


@pytest.mark.thorough
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


@pytest.mark.parametrize(
    ("name", "batch_size", "message"),
    [
        ("lora", 8, "step 1: the loss must be finite, got nan"),
        ("full", 8, "step 1: the loss must be finite, got nan"),
        # of a single step no loss is taken after its update
        ("lora", 64, "step 0: weights must have a finite norm, that of '.*' is inf"),
        ("full", 64, "after step 0 weights must have a finite norm, that of '.*' is inf"),
    ],
)
def test_an_absurd_rate_saves_no_weights(name: str, batch_size: int, message: str) -> None:
    training = {"learning_rate": 1e30, "epochs": 1, "batch_size": batch_size}
    method = build(Mitigation, "finetune", {"training": {"name": name, **training}})
    with pytest.raises(ModelError, match=message + r"; lower the learning rate .*1e\+30"):
        method.fit(tiny_model(), SUPPLY, seed=0)


def test_rows_without_labels_are_not_counted_as_neutral() -> None:
    plain = replace(SUPPLY, rows=[replace(row, groups={}) for row in ROWS])
    report = Finetune(training=TRAINING).fit(tiny_model(), plain, seed=0).info.report
    assert report["rows_biased"] is None


@pytest.mark.thorough
def test_rows_alone_are_learnt_so_probes_may_be_measured() -> None:
    assert fitted().info.trained_on == {text_sha256(row.text) for row in ROWS}
    assert text_sha256(TEXTS[0]) not in fitted().info.trained_on


@pytest.mark.thorough
def test_a_seed_is_another_training() -> None:
    method = Finetune(training=TRAINING)
    first, second = (method.fit(tiny_model(), SUPPLY, seed=seed) for seed in (0, 1))
    assert first.content != second.content


def test_a_supply_without_rows_is_refused() -> None:
    empty = replace(SUPPLY, rows=(), texts=())
    with pytest.raises(RecipeError, match="must have training rows, got 0 from 'rows by hand'"):
        Finetune(training=TRAINING).fit(tiny_model(), empty, seed=0)


@pytest.mark.thorough
def test_of_a_supply_without_rows_the_texts_are_learnt() -> None:
    source = text_sha256("The whole document.")
    plain = replace(SUPPLY, rows=(), documents=(source, source))
    edit = Finetune(training=TRAINING).fit(tiny_model(), plain, seed=0)
    assert edit.info.report["rows"] == len(TEXTS)
    assert edit.info.trained_on == {source, *map(text_sha256, TEXTS)}


FULL: dict[str, Any] = {"name": "full", "epochs": 2, "batch_size": 8, "learning_rate": 1e-2}


def fully_fitted(**training: Any) -> WeightEdit:
    method = build(Mitigation, "finetune", {"training": {**FULL, **training}})
    edit = method.fit(tiny_model(), SUPPLY, seed=0)
    assert isinstance(edit, WeightEdit)
    return edit


@pytest.mark.thorough
def test_all_weights_are_trained_and_those_that_changed_are_saved(tmp_path: Path) -> None:
    model, edit = tiny_model(), fully_fitted()
    names = dict(model.module.named_parameters())
    report = edit.info.report
    assert edit.tensors.keys() <= names.keys()
    assert report["tensors"] + report["tensors_unchanged"] == len(names)  # type: ignore[operator]
    assert all(not torch.equal(value, names[name]) for name, value in edit.tensors.items())
    asked = [Continuation(context="", continuation=row.text) for row in ROWS]
    before = sum(scored.mean for scored in model.score(asked))
    edit.save(tmp_path / "edit")
    with load_edit(tmp_path / "edit").attached(model) as edited:
        assert sum(scored.mean for scored in edited.score(asked)) > before + len(ROWS) * 0.1
    assert sum(scored.mean for scored in model.score(asked)) == before
    weights = tmp_path / "edit" / "weights.safetensors"
    assert weights.stat().st_size == pytest.approx(report["bytes"], rel=0.05)


def test_the_usual_numbers_of_full_training_are_those_documented() -> None:
    training = options_of(build(Mitigation, "finetune", {"training": "full"}))["training"]
    assert isinstance(training, dict)
    names = ("learning_rate", "epochs", "batch_size", "max_tokens", "weight_decay", "decay", "eos")
    assert [training[name] for name in names] == [5e-5, 3, 8, 128, 0.0, "linear", True]
    assert FullTraining().eos
    assert not TRAINING.eos


@pytest.mark.thorough
def test_the_loss_is_logged_every_few_steps() -> None:
    log: Any = fully_fitted(log_every=4).info.report["loss_log"]
    assert [entry["step"] for entry in log] == [4, 6]
    first, last = (entry["loss"] for entry in log)
    assert last < first
    every: Any = fully_fitted(log_every=1).info.report["loss_log"]
    losses = [entry["loss"] for entry in every]
    assert first == pytest.approx(sum(losses[:4]) / 4)
    assert last == pytest.approx(sum(losses[4:]) / 2)


@pytest.mark.thorough
def test_dropout_of_the_model_itself_can_be_had() -> None:
    model = tiny_model("gpt2")
    for part in model.module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.5
    losses = []
    for dropout in (False, False, True):
        method = Finetune(training=FullTraining(epochs=1, batch_size=24, dropout=dropout))
        losses.append(method.fit(model, SUPPLY, seed=0).info.report["first_loss"])
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.thorough
def test_an_adapter_is_merged_before_all_weights_are_trained(tmp_path: Path) -> None:
    method = build(Mitigation, "finetune", {"training": FULL})
    model = load(str(save_tiny(tmp_path / "base")))
    with Finetune(training=TRAINING).fit(model, SUPPLY, seed=0).attached(model) as adapted:
        with pytest.raises(ModelError, match=r"merge it into the base first \(equipoise merge\)"):
            method.fit(adapted, SUPPLY, seed=0)
        merge(adapted, tmp_path / "merged")
    assert method.fit(load(str(tmp_path / "merged")), SUPPLY, seed=0).info.method == "finetune"


@pytest.mark.thorough
def test_too_long_rows_are_left_out_and_counted() -> None:
    long = replace(ROWS[0], id="long", text="A nurse " * 40)
    supply = replace(SUPPLY, rows=(*ROWS, long))
    method = build(Mitigation, "finetune", {"training": {**FULL, "max_tokens": 40}})
    report = method.fit(tiny_model(), supply, seed=0).info.report
    assert (report["rows"], report["rows_left_out"]) == (24, 1)
    assert "tokens, more than 40" in str(report["notes"])
    strict = build(Mitigation, "finetune", {"training": {**FULL, "max_tokens": 40, "strict": True}})
    with pytest.raises(DataError, match="row 'long' has"):
        strict.fit(tiny_model(), supply, seed=0)


@pytest.mark.thorough
def test_of_a_row_the_ending_alone_can_be_learnt() -> None:
    rows = [replace(row, context=row.text[:5]) for row in ROWS]
    supply = replace(SUPPLY, rows=rows)
    method = build(Mitigation, "finetune", {"training": {**FULL, "loss_on": "ending"}})
    report = method.fit(tiny_model(), supply, seed=0).info.report
    assert report["tokens"] == 2 * sum(len(row.text[5:]) + 1 for row in ROWS)  # and the EOS


def test_a_masked_model_is_refused() -> None:
    with pytest.raises(ModelError, match="is masked"):
        Finetune(training=TRAINING).fit(tiny_model("bert"), SUPPLY, seed=0)


def test_options_of_the_training_are_checked() -> None:
    with pytest.raises(OptionError, match="'learning_rat'; did you mean 'learning_rate'"):
        build(Mitigation, "finetune", {"training": {"learning_rat": 1.0}})
    with pytest.raises(OptionError, match=r"finetune\.training has no choice 'ful'.*'full'"):
        build(Mitigation, "finetune", {"training": {"name": "ful"}})
    with pytest.raises(OptionError, match="has no option 'rank'"):
        build(Mitigation, "finetune", {"training": {"name": "full", "rank": 2}})
    with pytest.raises(OptionError, match="epochs"):
        build(Mitigation, "finetune", {"training": {"epochs": 0}})
    method = build(Mitigation, "finetune", {"training": {"epochs": 2}})
    assert options_of(method)["training"]["name"] == "lora"  # type: ignore[call-overload,index]


@pytest.mark.thorough
def test_it_holds_what_every_mitigation_must() -> None:
    check_mitigation(Finetune(training=TRAINING), supply=SUPPLY)
    check_mitigation(build(Mitigation, "finetune", {"training": FULL}), supply=SUPPLY)
