"""BiasEdit as a mitigation: options, what an edit records, and who is given the labels."""

from dataclasses import replace

import pytest
from pydantic import ValidationError
from worlds import in_world

from equipoise import api
from equipoise.benchmarks.stereoset import StereoSet
from equipoise.checks.learnt import item_info_faults, learnt_from
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.measure import measure
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.bias_edit import BiasEdit
from equipoise.mitigate.bias_edit_transductive import BiasEditTransductive
from equipoise.planted.world import find_world
from equipoise.plugins import build, name_of, options_of
from equipoise.records import Supply
from equipoise.rows import text_sha256
from equipoise.testing import tiny_model, tiny_supply

SUPPLY = tiny_supply()
QUICK: dict[str, object] = {"rank": 8, "epochs": 1, "batch_size": 6, "edit_rate": 1e-3}


def fitted(**options: object) -> WeightEdit:
    method = BiasEdit(**{**QUICK, **options})  # type: ignore[arg-type]
    return method.fit(tiny_model("gpt2", blocks=4), SUPPLY, seed=0)


@pytest.mark.thorough
def test_the_last_three_feed_forward_outputs_alone_change() -> None:
    edit = fitted()
    names = [f"transformer.h.{block}.mlp.c_proj.weight" for block in (1, 2, 3)]
    assert sorted(edit.tensors) == names
    assert edit.info.report["modules"] == names
    assert edit.info.report["blocks"] == [1, 2, 3]
    assert edit.info.report["contrasts"] == len(SUPPLY.contrasts)
    assert edit.info.report["steps"] == 1
    assert "item_info" not in edit.info.report


@pytest.mark.parametrize(
    ("option", "value"),
    [("rank", 0), ("edit_rate", 0.0), ("losses", "kl")],
)
def test_values_out_of_range_are_refused(option: str, value: object) -> None:
    with pytest.raises(ValidationError, match=option):
        BiasEdit(**{option: value})  # type: ignore[arg-type]


@pytest.mark.thorough
def test_other_blocks_can_be_edited_with_an_editor_of_another_rank() -> None:
    edits = [fitted(blocks=(0,), rank=rank) for rank in (8, 9)]
    assert all(list(edit.tensors) == ["transformer.h.0.mlp.c_proj.weight"] for edit in edits)
    assert edits[0].content != edits[1].content


@pytest.mark.thorough
def test_a_rate_too_small_for_the_weights_is_no_edit() -> None:
    with pytest.raises(ModelError, match="must change weights"):
        fitted(blocks=(0,), edit_rate=1e-30, learning_rate=1e-30)


def test_both_variants_have_the_same_options_and_declare_item_info() -> None:
    inductive, transductive = (
        build(Mitigation, "bias_edit"),
        build(Mitigation, "bias_edit_transductive"),
    )
    assert options_of(inductive) == options_of(transductive)
    assert name_of(transductive) == "bias_edit_transductive"
    assert (inductive.item_info, transductive.item_info) == ((), ("labels",))


@pytest.mark.thorough
def test_measured_items_are_item_info_and_not_learnt() -> None:
    model = tiny_model()
    edit = BiasEditTransductive(**QUICK).fit(model, SUPPLY, seed=0)  # type: ignore[arg-type]
    assert edit.info.report["item_info"] == ["labels"]
    assert edit.info.report["contrasts"] == len(SUPPLY.measured)
    learnt = {text_sha256(contrast.context + contrast.stereotype) for contrast in SUPPLY.contrasts}
    measured = {text_sha256(item.context + item.stereotype) for item in SUPPLY.measured}
    assert learnt <= edit.info.trained_on
    assert not measured & edit.info.trained_on
    with pytest.raises(RecipeError, match="must hold the measured items, got none from 'tiny'"):
        BiasEditTransductive(**QUICK).fit(model, replace(SUPPLY, measured=()), seed=0)  # type: ignore[arg-type]


@pytest.mark.thorough
def test_results_say_that_test_labels_were_used() -> None:
    world = find_world("targets=40")
    supply = Supply(
        origin="world",
        contrasts=world.contrasts("train")[:4],
        measured=world.contrasts("test")[:4],
    )
    model = tiny_model()
    notes = []
    for method in (BiasEdit(**QUICK), BiasEditTransductive(**QUICK)):  # type: ignore[arg-type]
        edit = method.fit(model, supply, seed=0)
        with edit.attached(model) as edited, in_world("targets=40"):
            measurement = measure(edited, StereoSet(), limit=2, draws=0)
        notes.append([note for note in measurement.notes if note.startswith("item information: ")])
        faults = item_info_faults(learnt_from(supply, item_info=method.item_info))
        assert len(faults) == len(method.item_info)
        assert all("given the labels of each item" in fault.text for fault in faults)
    assert notes[0] == []
    assert notes[1] == [
        "item information: bias_edit_transductive was given the labels of the measured items, "
        "so that this compares with no method that was not"
    ]


@pytest.mark.thorough
def test_only_a_method_with_item_info_gets_the_measured_items() -> None:
    with in_world("targets=40"):
        assert api.build_supply("planted").measured == ()
        supply = api.build_supply("planted", item_info=("labels",))
        items = StereoSet().examples("dev")
    measured = {item.context + item.stereotype for item in supply.measured}
    assert {text.strip() for text in measured} == {item.sentences[0] for item in items}
    assert not {text_sha256(text) for text in measured} & {
        text_sha256(text) for text in supply.learnt_texts()
    }
    custom = Supply(origin="mine", measured=SUPPLY.measured)
    assert api.build_supply(custom, item_info=("labels",)) is custom
