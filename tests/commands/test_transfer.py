"""`equipoise transfer`: an adapter on a sibling, its controls and scales, and what is refused."""

import json
from pathlib import Path

import pytest
import torch

from equipoise.edits.adapter import AdapterEdit, wanted_tensors
from equipoise.edits.edit import EditInfo
from equipoise.edits.registry import load_edit
from equipoise.edits.transfer_controls import update_norm
from equipoise.edits.weights import WeightEdit
from equipoise.models.vocabulary import vocabulary_of
from equipoise.records import JSON
from equipoise.testing import tiny_model

from .conftest import Asked, Refused

CONFIG: dict[str, JSON] = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj", "v_proj"]}


def adapter(*, vocabulary: bool = True) -> AdapterEdit:
    """An adapter of a sibling of the commands' tiny model."""
    model = tiny_model("llama", seed=9)
    generator = torch.Generator().manual_seed(0)
    info = EditInfo(
        method="unlearn",
        version="1",
        options={},
        seed=0,
        base=model.identity,
        base_fingerprint="",
        trained_on=frozenset({"ab"}),
        origin="lessons",
        base_vocabulary=str(vocabulary_of(model.tokenizer)) if vocabulary else "",
    )
    tensors = {
        name: torch.randn(shape, generator=generator)
        for name, shape in wanted_tensors(model, CONFIG).items()
    }
    return AdapterEdit(info=info, config=CONFIG, tensors=tensors)


@pytest.fixture
def edit(tmp_path: Path) -> Path:
    adapter().save(tmp_path / "edit")
    return tmp_path / "edit"


def test_the_edit_is_measured_like_a_model(
    ask: Asked, edit: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "moved"
    status, said, _ = ask("transfer", edit, "--to", model, "--out", out)
    assert status == 0
    assert "unlearn of tiny-llama@9 at scale 1.0 is on tiny@" in said
    asked = ("genbias", "--set", "genbias.world=default", "--limit", "8", "--draws", "0")
    status, said, _ = ask("measure", out, *asked)
    assert status == 0
    assert "+transfer:" in said


def test_scales_have_a_folder_each(ask: Asked, edit: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    given = ("--scale", "0,0.5,1,1.5", "--control", "random", "--seed", "2", "--json")
    status, said, _ = ask("transfer", edit, "--to", model, "--out", out, *given)
    assert status == 0
    edits = json.loads(said)["edits"]
    assert [one["options"]["scale"] for one in edits] == [0.0, 0.5, 1.0, 1.5]
    assert [Path(one["folder"]).name for one in edits] == [
        "scale-0", "scale-0.5", "scale-1", "scale-1.5"
    ]  # fmt: skip
    whole = update_norm(adapter())
    for one in edits:
        saved = load_edit(one["folder"])
        assert isinstance(saved, AdapterEdit)
        scale = one["options"]["scale"]
        assert update_norm(saved) == pytest.approx(scale * whole, rel=1e-5)
        assert one["report"]["update_norm"] == pytest.approx(scale * whole, rel=1e-5)
        assert (saved.info.seed, one["trained_on"]) == (2, 1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--control", "randm"), "--control 'randm' is not known; did you mean 'random'?"),
        (("--scale", "0,0"), "--scale must be numbers from 0, all different"),
        (("--scale", "-1"), "--scale must be numbers from 0"),
        (("--scale", "half"), "got 'half'; write 1 or"),
    ],
)
def test_a_mistaken_flag_is_one_sentence(
    refused: Refused, edit: Path, model: Path, tmp_path: Path, given: tuple[str, str], said: str
) -> None:
    place = ("--to", model, "--out", tmp_path / "out")
    assert said in refused("transfer", edit, *place, *given)


def test_another_model_is_refused_and_nothing_is_written(
    refused: Refused, edit: Path, tmp_path: Path
) -> None:
    for family in ("gpt2", "bert"):
        other = tiny_model(family)
        folder = tmp_path / family
        other.module.save_pretrained(folder)
        other.tokenizer.save_pretrained(folder)
        line = refused("transfer", edit, "--to", folder, "--out", tmp_path / "out")
        assert "adapter must fit" in line


def test_other_tokens_are_refused_and_more_tokens_when_not_allowed(
    ask: Asked, refused: Refused, model: Path, tmp_path: Path
) -> None:
    adapter(vocabulary=False).save(tmp_path / "edit")
    base = tmp_path / "base"
    place = ("--to", model, "--out", tmp_path / "out", "--base", base)
    tiny_model("bert").tokenizer.save_pretrained(base)
    line = refused("transfer", tmp_path / "edit", *place)
    assert f"every token of {base} must have the same id" in line
    more = tiny_model("llama")
    more.tokenizer.add_tokens(["<user>"])
    sibling = tmp_path / "sibling"
    more.module.resize_token_embeddings(260)
    more.module.save_pretrained(sibling)
    more.tokenizer.save_pretrained(sibling)
    place = ("--to", sibling, "--out", tmp_path / "out", "--base", model)
    assert "1 tokens more" in refused("transfer", tmp_path / "edit", *place)
    status, said, _ = ask("transfer", tmp_path / "edit", *place, "--more_tokens")
    assert status == 0
    assert "note: sibling@" in said


def test_a_peft_adapter_of_another_program_is_taken_with_a_note(
    ask: Asked, edit: Path, model: Path, tmp_path: Path
) -> None:
    for own in ("edit.json", "trained_on.json", "README.md"):
        (edit / own).unlink()
    place = ("--to", model, "--out", tmp_path / "out", "--base", model)
    status, said, _ = ask("transfer", edit, *place, "--control=shuffled")
    assert status == 0
    assert "adapter of an unnamed base (shuffled control) at scale 1.0" in said
    assert "note: what the adapter learnt from is not recorded" in said
    assert load_edit(tmp_path / "out").info.report["layers_from"] == {"0": 1, "1": 0}


def test_a_weight_edit_is_refused(refused: Refused, model: Path, tmp_path: Path) -> None:
    tensors = {"model.norm.weight": torch.ones(32)}
    WeightEdit(info=adapter().info, tensors=tensors).save(tmp_path / "weights")
    line = refused("transfer", tmp_path / "weights", "--to", model, "--out", tmp_path / "out")
    assert "replaces 1 parameters and would undo what the sibling learnt" in line


def test_what_is_no_edit_or_not_new_is_refused(
    refused: Refused, edit: Path, model: Path, tmp_path: Path
) -> None:
    assert "must be a saved edit" in refused(
        "transfer", model, "--to", model, "--out", tmp_path / "out"
    )
    assert "new or empty folder" in refused("transfer", edit, "--to", model, "--out", edit)
