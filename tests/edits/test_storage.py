"""Edits on disk: whole or not at all, and every fault named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_adapters import INFO

from equipoise.edits.base import Edit
from equipoise.edits.prompts import PromptEdit
from equipoise.edits.registry import load_edit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import StoreError
from equipoise.records import DataUse

FULL = replace(
    INFO,
    options={"k": 1, "learning_rate": 2e-5, "words": [" he", None, True]},
    trained_on=frozenset({"ab", "cd"}),
    report={"last_loss": 1.5, "ranking": {"scores": [1, 2.0]}},
    base_name="gpt2@607a30d",
    base_kind="causal",
    base_vocabulary="9:00",
    files=(DataUse(name="a.txt", sha256="ef", licence="free", verified=False),),
)


def saved(folder: Path) -> WeightEdit:
    edit = WeightEdit(info=FULL, tensors={"a.weight": torch.arange(12.0).reshape(3, 4).T})
    edit.save(folder)
    return edit


def saved_prompts(folder: Path) -> PromptEdit:
    edit = PromptEdit(info=FULL, prompts=("\u00e9 ",))
    edit.save(folder)
    return edit


def change_head(folder: Path, change: dict[str, object]) -> None:
    path = folder / "edit.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_any_kind_is_read_as_it_was_saved(tmp_path: Path) -> None:
    edits: dict[str, Edit] = {
        "weights": saved(tmp_path / "weights"),
        "prompts": saved_prompts(tmp_path / "prompts"),
    }
    for name, edit in edits.items():
        again = load_edit(tmp_path / name)
        assert type(again) is type(edit)
        assert (again.info, again.content) == (edit.info, edit.content)


def test_no_pickles_and_no_temporary_files(tmp_path: Path) -> None:
    saved(tmp_path / "deep" / "fair")
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert files == [
        "deep/fair/README.md",
        "deep/fair/edit.json",
        "deep/fair/trained_on.json",
        "deep/fair/weights.safetensors",
    ]
    assert json.loads((tmp_path / "deep/fair/trained_on.json").read_text()) == ["ab", "cd"]


def test_an_empty_folder_is_filled_and_a_full_one_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    edit = saved(tmp_path / "empty")
    before = (tmp_path / "empty" / "edit.json").read_bytes()
    with pytest.raises(StoreError, match=r"got .*empty"):
        edit.save(tmp_path / "empty")
    assert (tmp_path / "empty" / "edit.json").read_bytes() == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match=r"got .*file"):
        edit.save(tmp_path / "file")


def test_a_save_that_fails_leaves_nothing(tmp_path: Path) -> None:
    bad = PromptEdit(info=replace(FULL, options={"rate": float("nan")}), prompts=("a",))
    with pytest.raises(StoreError):
        bad.save(tmp_path / "bad")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["weights.safetensors", "trained_on.json", "edit.json"])
def test_truncated_or_missing_file_is_named(tmp_path: Path, name: str) -> None:
    saved(tmp_path / "fair")
    path = tmp_path / "fair" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StoreError, match=f"fair/{name}"):
        load_edit(tmp_path / "fair")
    path.unlink()
    with pytest.raises(StoreError, match=f"fair/{name}.* missing"):
        load_edit(tmp_path / "fair")


def test_a_changed_value_is_refused_by_its_hash(tmp_path: Path) -> None:
    saved(tmp_path / "fair")
    path = tmp_path / "fair" / "weights.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(StoreError, match=r"weights\.safetensors must have sha256"):
        load_edit(tmp_path / "fair")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"schema": 2}, "schema: .*got 2"),
        ({"schema": None}, "schema: .*got None"),
        ({"kind": "weight"}, "did you mean 'weights'"),
        ({"kind": None}, "kind: .*got None"),
        ({"info": []}, "info: "),
        ({"info": {"method": "x"}}, "info: version: "),
        ({"info": {"files": [{}]}}, "info: "),
        ({"files": {"../secret": "00"}}, "'../secret' must be a plain file name"),
        ({"tensors_file": "../secret"}, "must list the file '../secret'"),
        ({"content": "00"}, "has been changed"),
    ],
)
def test_a_changed_head_is_refused(tmp_path: Path, change: dict[str, object], word: str) -> None:
    saved(tmp_path / "fair")
    change_head(tmp_path / "fair", change)
    with pytest.raises(StoreError, match=word):
        load_edit(tmp_path / "fair")


def test_a_head_that_is_no_mapping_and_prompts_without_prompts_are_refused(tmp_path: Path) -> None:
    (tmp_path / "edit.json").write_text("[]")
    with pytest.raises(StoreError, match=r"got \[\]"):
        load_edit(tmp_path)
    saved_prompts(tmp_path / "prompts")
    change_head(tmp_path / "prompts", {"values": {}})
    with pytest.raises(StoreError, match=r"prompts/edit\.json"):
        load_edit(tmp_path / "prompts")
