"""NextTokenEdit: attached and taken off, saved and read, and what it is not for."""

import json
from pathlib import Path

import pytest

from equipoise.decoding.mixture import Mean
from equipoise.edits.decoding import NextTokenEdit
from equipoise.edits.registry import load_edit
from equipoise.errors import ModelError, StoreError
from equipoise.mitigate.cafie import Cafie
from equipoise.mitigate.self_debias import AllTypes, OracleType, SelfDebias
from equipoise.records import Continuation, Embedding, Supply
from equipoise.testing import tiny_model

NOTHING = Supply(origin="none")
METHODS = (SelfDebias(mode=AllTypes(types=("gender", "race"))), Cafie(mixture=Mean()))


@pytest.mark.thorough
@pytest.mark.parametrize("method", METHODS)
def test_attached_for_a_while_and_saved(method: SelfDebias | Cafie, tmp_path: Path) -> None:
    model = tiny_model(context=512)
    requests = [Continuation(context="The man", continuation=" sat")]
    plain = model.score(requests)
    edit = method.fit(model, NOTHING, seed=1)
    edit.save(tmp_path / "edit")
    again = load_edit(tmp_path / "edit")
    assert again == edit
    assert again.content == edit.content
    with again.attached(model) as edited:
        assert edited.score(requests) != plain
        assert edited.identity == f"{model.identity}+{edit.info.method}:{edit.content[:8]}"
    assert model.score(requests) == plain
    assert model.decoding_rule is None


def test_results_have_cost_hash_and_item_info() -> None:
    method = SelfDebias(mode=OracleType(type="gender"))
    model = tiny_model(context=512)
    with method.fit(model, NOTHING, seed=0).attached(model) as edited:
        about = edited.info["decoding_rule"]
        (record,) = edited.info["edits"]  # type: ignore[misc]
    assert isinstance(about, dict)
    assert isinstance(record, dict)
    assert about["cost_factor"] == 2
    assert len(str(about["prefixes_sha256"])) == 64
    assert record["item_info"] == ["bias type"]
    assert "decoding_rule" not in model.info


def test_equal_settings_have_equal_contents_and_others_do_not() -> None:
    model = tiny_model()
    contents = [
        method.fit(model, NOTHING, seed=0).content
        for method in (SelfDebias(), SelfDebias(), SelfDebias(wording=1), SelfDebias(decay=10.0))
    ]
    assert contents[0] == contents[1]
    assert len(set(contents)) == 3


def test_masked_models_and_second_decoding_rules_are_refused() -> None:
    model = tiny_model(context=512)
    edit = SelfDebias().fit(model, NOTHING, seed=0)
    with pytest.raises(ModelError, match="tiny-bert@0 is masked"):
        edit.apply(tiny_model("bert"))
    with (
        edit.attached(model) as edited,
        pytest.raises(ModelError, match="has 'self_debias' already"),
    ):
        Cafie().fit(model, NOTHING, seed=0).apply(edited)


def test_hidden_states_of_an_adjusted_model_are_refused() -> None:
    model = tiny_model(context=512)
    with (
        SelfDebias().fit(model, NOTHING, seed=0).attached(model) as edited,
        pytest.raises(ModelError, match="has 'self_debias', which changes no hidden state"),
    ):
        edited.embed([Embedding(text="a")])


def test_an_unknown_decoding_rule_and_broken_settings_name_the_file(tmp_path: Path) -> None:
    edit = SelfDebias(mode=AllTypes(types=("age",))).fit(tiny_model(), NOTHING, seed=0)
    for number, values in enumerate(
        (
            {"decoding_rule": "other", "settings": {}},
            {"decoding_rule": "self_debias", "settings": {}},
        )
    ):
        folder = tmp_path / str(number)
        edit.save(folder)
        head = json.loads((folder / "edit.json").read_text())
        stored = edit.stored()
        broken = type(stored)(kind=stored.kind, values=values)
        head |= {"values": values, "content": broken.content}
        (folder / "edit.json").write_text(json.dumps(head))
        with pytest.raises(StoreError, match=r"edit\.json"):
            NextTokenEdit.load(folder)
