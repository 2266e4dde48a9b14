"""Training again without the selected rows, for as many steps."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from training_rows import QUICK, ROWS, SUPPLY, TEXTS, TRAINING, Known

from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import RecipeError
from equipoise.mitigate import data_filtering
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.data_filtering import DataFiltering
from equipoise.plugins import build, name_of, options_of
from equipoise.rows import text_sha256
from equipoise.testing import check_mitigation, tiny_model
from equipoise.training.row_forward import RowForward
from equipoise.training.row_tokens import TokenizedRows

BIASED = tuple(range(0, 24, 3))


def method(**options: Any) -> DataFiltering:
    return DataFiltering(**{"training": TRAINING, "attributor": Known(), "share": 1 / 3, **options})


def fitted(**options: Any) -> AdapterEdit:
    return method(**options).fit(tiny_model(), SUPPLY, seed=0)


def test_the_rows_of_the_highest_scores_are_selected() -> None:
    selection = method().select(tiny_model(), SUPPLY, seed=0)
    assert selection.selected == BIASED
    assert selection.kept == tuple(place for place in range(24) if place % 3)


@pytest.mark.thorough
def test_it_trains_on_the_complement_with_as_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[list[list[int]]] = []
    mean_losses = RowForward.mean_losses

    def seen(self: RowForward, rows: TokenizedRows, chosen: Sequence[int] | None = None) -> Any:
        steps.append(rows.ids)
        return mean_losses(self, rows, chosen)

    monkeypatch.setattr(RowForward, "mean_losses", seen)
    edit = fitted(training=replace(TRAINING, alpha=7.0))  # which is not at hand already
    report = edit.info.report
    assert report["steps"] == report["finetune_steps"] == 6
    assert len(steps) == 7  # the last batch once more, after its update
    tokenizer = tiny_model().tokenizer
    texts = [tokenizer.decode(ids[1:]) for step in steps[:-1] for ids in step]
    kept = {row.text for row in ROWS if not row.biased}
    assert set(texts) == kept
    # three epochs of 16 rows in place of two of 24
    assert {texts.count(text) for text in kept} == {3}


@pytest.mark.thorough
def test_it_equals_a_training_of_the_original_model_on_those_rows() -> None:
    kept = [row for row in ROWS if not row.biased]
    trained = TRAINING.fit(tiny_model(), kept, seed=0, steps=6)
    with fitted().attached(tiny_model()) as edited:
        parameters = dict(edited.module.named_parameters())
        for name, value in trained.weights.items():
            assert torch.equal(parameters[name].detach(), value)


def test_its_report_says_what_was_selected_and_by_what() -> None:
    report = fitted().info.report
    expected = {
        "attributor": "known",
        "rows_of_set": 24,
        "biased_of_set": 8,
        "selected": 8,
        "selected_biased": 8,
        "rows": 16,
        "rows_biased": 0,
        "rows_without_score": 0,
        "budget": data_filtering.SAME_STEPS,
    }
    assert {name: report[name] for name in expected} == expected
    assert len(str(report["scores_sha256"])) == 64
    assert report["finetune_tokens"] == 2 * sum(len(row.text) for row in ROWS)


@pytest.mark.thorough
def test_steps_may_be_asked_for() -> None:
    report = fitted(steps=3).info.report
    assert (report["steps"], report["budget"]) == (3, "3 steps, as asked")


@pytest.mark.thorough
def test_a_few_rows_may_be_learnt() -> None:
    """The paper's other subset: of all rows, and of those kept, a share is learnt."""
    report = fitted(training=replace(TRAINING, share=0.25)).info.report
    assert (report["rows"], report["rows_biased"]) == (4, 0)
    assert report["steps"] == report["finetune_steps"] == 2


@pytest.mark.thorough
def test_probes_that_decided_are_learnt_from_and_those_to_judge_on_are_not() -> None:
    used = {text for row in ROWS for text in row.texts}
    used |= {text for probe in SUPPLY.probes for text in probe.texts}
    assert fitted().info.trained_on == set(map(text_sha256, used))
    assert text_sha256(TEXTS[0]) not in fitted().info.trained_on


@pytest.mark.thorough
def test_without_an_attributor_it_is_influence_with_the_same_warm_up() -> None:
    chosen = DataFiltering(training=TRAINING).chosen_attributor
    assert name_of(chosen) == "influence"
    assert vars(chosen)["training"] == TRAINING
    report = fitted(attributor=None).info.report
    assert (report["attributor"], report["selected"]) == ("influence", 8)


@pytest.mark.thorough
def test_an_attributor_is_a_nested_plug_in() -> None:
    options: dict[str, Any] = {"attributor": {"name": "loss", "max_tokens": 64}, "training": QUICK}
    built = build(Mitigation, "data_filtering", options)
    assert build(Mitigation, "data_filtering", options_of(built)) == built
    assert built.fit(tiny_model(), SUPPLY, seed=0).info.report["attributor"] == "loss"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"share": 0.001}, "must have a row or more and leave one, got 0 of 24"),
        ({"share": 0.999}, "got 24 of 24 by .*Known with share 0.999"),
        ({"attributor": Known(nan=True)}, "got 0 of 24"),
    ],
)
def test_a_selection_of_no_row_or_all_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(RecipeError, match=problem):
        fitted(**options)


def test_a_supply_without_rows_or_probes_is_refused() -> None:
    with pytest.raises(RecipeError, match="must have training rows"):
        method().fit(tiny_model(), replace(SUPPLY, rows=()), seed=0)
    with pytest.raises(RecipeError, match="probes"):
        method(attributor=None).fit(tiny_model(), replace(SUPPLY, probes=()), seed=0)


def test_neutral_texts_are_the_supplys_else_kept_rows_that_are_not_biased() -> None:
    selection = method(share=0.2).select(tiny_model(), SUPPLY, seed=0)
    assert selection.neutral(SUPPLY) == TEXTS
    texts = selection.neutral(replace(SUPPLY, texts=()))
    assert texts == tuple(row.text for row in ROWS if not row.biased)


@pytest.mark.thorough
def test_it_holds_what_every_mitigation_must() -> None:
    check_mitigation(method(), supply=SUPPLY)
