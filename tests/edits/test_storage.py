"""Edits on disk: whole or not at all, and every fault named."""

import json
from pathlib import Path

import pytest
import torch

from equipoise.edits.edit import EditInfo
from equipoise.edits.prompts import PromptEdit
from equipoise.edits.registry import load_edit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import StoreError
from equipoise.records import DataUse

#: What `info` must have, as an edit of before files were recorded has it.
COMPLETE: dict[str, object] = {
    "method": "x", "version": "1", "options": {}, "seed": 0, "base": "b", "base_fingerprint": "",
    "base_name": "", "origin": "", "report": {},
}  # fmt: skip


def saved(folder: Path) -> WeightEdit:
    about = EditInfo(
        method="lftf",
        version="1",
        options={"k": 1, "learning_rate": 2e-5},
        seed=5,
        base="gpt2@607a30d",
        base_fingerprint="00",
        trained_on=frozenset({"ab", "cd"}),
        origin="genbias:train",
        report={"last_loss": 1.5},
        files=(DataUse(name="a.txt", sha256="ef", licence="free", verified=False),),
    )
    edit = WeightEdit(info=about, tensors={"a.weight": torch.arange(12.0).reshape(3, 4).T})
    edit.save(folder)
    return edit


def test_any_kind_is_found_by_its_folder(tmp_path: Path) -> None:
    edit = saved(tmp_path / "weights")
    prompts = PromptEdit(info=edit.info, prompts=("é ",))
    prompts.save(tmp_path / "prompts")
    again = load_edit(tmp_path / "weights")
    assert isinstance(again, WeightEdit)
    assert (again.info, again.content) == (edit.info, edit.content)
    assert load_edit(tmp_path / "prompts") == prompts


def test_there_is_nothing_pickled_and_nothing_left_over(tmp_path: Path) -> None:
    saved(tmp_path / "deep" / "fair")
    names = sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file())
    assert names == [
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
    with pytest.raises(StoreError, match=r"new or empty folder, .*empty is not one"):
        edit.save(tmp_path / "empty")
    assert (tmp_path / "empty" / "edit.json").read_bytes() == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="file is not one"):
        edit.save(tmp_path / "file")


def test_a_save_that_fails_leaves_nothing(tmp_path: Path) -> None:
    about = saved(tmp_path / "good").info
    bad = PromptEdit(
        info=EditInfo(
            method="x",
            version="1",
            options={"rate": float("nan")},
            seed=0,
            base="b",
            base_fingerprint="",
            trained_on=about.trained_on,
            origin="",
        ),
        prompts=("a",),
    )
    with pytest.raises(StoreError, match=r"cannot write the edit .*bad"):
        bad.save(tmp_path / "bad")
    assert [one.name for one in tmp_path.iterdir()] == ["good"]


@pytest.mark.parametrize("name", ["weights.safetensors", "trained_on.json", "edit.json"])
def test_a_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    saved(tmp_path / "fair")
    path = tmp_path / "fair" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StoreError, match=rf"fair/{name} .*(cut short|JSON)"):
        load_edit(tmp_path / "fair")


@pytest.mark.parametrize("name", ["weights.safetensors", "trained_on.json", "edit.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    saved(tmp_path / "fair")
    (tmp_path / "fair" / name).unlink()
    with pytest.raises(StoreError, match=rf"fair/{name} must be there, it is missing"):
        load_edit(tmp_path / "fair")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "must have schema 1, got 2"),
        ({"schema": None}, "must have schema 1, got None"),
        ({"kind": "weight"}, "unknown kind 'weight'; did you mean 'weights'"),
        ({"kind": None}, "must name its kind, got None"),
        ({"info": []}, r"must have 'info' as a mapping, got \[\]"),
        ({"info": COMPLETE | {"files": [{}]}}, r"must have info\.files as a list of files"),
        ({"info": {"method": "x"}}, r"must have info\.version, it has none"),
        ({"files": {"../secret": "00"}}, "must be a plain file name"),
        ({"tensors_file": "../secret"}, "must list the file"),
        ({"content": "00"}, "it has been changed"),
    ],
)
def test_a_changed_head_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    saved(tmp_path / "fair")
    path = tmp_path / "fair" / "edit.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(StoreError, match=message):
        load_edit(tmp_path / "fair")


def test_an_edit_of_before_files_were_recorded_is_read(tmp_path: Path) -> None:
    saved(tmp_path / "fair")
    path = tmp_path / "fair" / "edit.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"info": COMPLETE}))
    assert load_edit(tmp_path / "fair").info.files == ()


def test_a_head_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "edit.json").write_text("[]")
    with pytest.raises(StoreError, match="must have schema 1, got 'list'"):
        load_edit(tmp_path)


def test_prompts_without_prompts_are_refused(tmp_path: Path) -> None:
    about = saved(tmp_path / "fair").info
    PromptEdit(info=about, prompts=("a",)).save(tmp_path / "prompts")
    path = tmp_path / "prompts" / "edit.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"values": {}}))
    with pytest.raises(StoreError, match=r"prompts/edit\.json"):
        load_edit(tmp_path / "prompts")
