"""Transfer as a mitigation: which edit a seed takes, whose vocabulary, and what was learnt."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_adapters import adapter_for, weights

from equipoise.cli import run
from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.registry import load_edit
from equipoise.edits.transfer import update_norm
from equipoise.errors import ModelError, OptionError, RecipeError
from equipoise.loading.load import load
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.transfer import Transfer
from equipoise.plugins import build
from equipoise.records import Supply
from equipoise.testing import tiny_model

NOTHING = Supply(origin="none")
MODEL = tiny_model("llama")

Saved = Callable[..., str]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Save an adapter of another tiny model; returns its folder."""

    def save(seed: int = 0, **changes: str) -> str:
        edit = adapter_for(tiny_model("llama", seed=9))
        known = {"seed": seed, "trained_on": frozenset({f"text {seed}"}), **changes}
        folder = tmp_path / f"edit-{seed}"
        replace(edit, info=replace(edit.info, **known)).save(folder)  # type: ignore[arg-type]
        return str(folder)

    return save


@pytest.mark.thorough
def test_the_edit_is_the_adapter_and_says_what_it_learnt(saved: Saved) -> None:
    method = build(Mitigation, "transfer", {"edit": saved()})
    assert isinstance(method, Transfer)
    before = weights(MODEL)
    edit = method.fit(MODEL, NOTHING, seed=7)
    assert weights(MODEL) == before
    assert (edit.info.seed, edit.info.base) == (7, MODEL.identity)
    assert edit.info.trained_on == method.learnt() == {"text 0"}
    assert edit.info.origin == "here"
    assert edit.info.options == {"control": "none", "scale": 1.0}


@pytest.mark.thorough
def test_a_control_and_a_scale_are_options(saved: Saved) -> None:
    folder = saved()
    whole = Transfer(edit=(folder,)).fit(MODEL, NOTHING, seed=0)
    method = Transfer(edit=(folder,), control="random", scale=0.5)
    half = method.fit(MODEL, NOTHING, seed=3)
    assert update_norm(half) == pytest.approx(0.5 * update_norm(whole), rel=1e-5)
    assert half.info.options == {"control": "random", "control_seed": 3, "scale": 0.5}
    assert half.content == method.fit(MODEL, NOTHING, seed=3).content
    assert half.content != method.fit(MODEL, NOTHING, seed=4).content
    assert half.info.trained_on == whole.info.trained_on


@pytest.mark.thorough
def test_of_several_edits_each_seed_takes_its_own(saved: Saved) -> None:
    folders = (saved(1), saved(0))
    method = Transfer(edit=folders)
    assert method.fit(MODEL, NOTHING, seed=1).info.report["from_seed"] == 1
    assert method.fit(MODEL, NOTHING, seed=0).info.trained_on == {"text 0"}
    assert method.learnt() == {"text 0", "text 1"}
    assert method.files().keys() == set(folders)
    with pytest.raises(RecipeError, match=r"seed 2, .*\[1, 0\]"):
        method.fit(MODEL, NOTHING, seed=2)


@pytest.mark.thorough
def test_another_base_may_be_named_for_its_vocabulary(saved: Saved, tmp_path: Path) -> None:
    folder = saved(base_vocabulary="", base="elsewhere")
    with pytest.raises(ModelError, match="'elsewhere'"):
        Transfer(edit=(folder,)).fit(MODEL, NOTHING, seed=0)
    MODEL.tokenizer.save_pretrained(tmp_path / "base")
    method = Transfer(edit=(folder,), base=str(tmp_path / "base"))
    assert method.fit(MODEL, NOTHING, seed=0).info.report["from_base"] == "elsewhere"
    tiny_model("bert").tokenizer.save_pretrained(tmp_path / "other")
    with pytest.raises(ModelError, match=str(tmp_path / "other")):
        Transfer(edit=(folder,), base=str(tmp_path / "other")).fit(MODEL, NOTHING, seed=0)


@pytest.mark.thorough
def test_a_planted_base_has_its_vocabulary(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    method = Transfer(edit=(saved(base_vocabulary="", base_name="planted:none"),))
    monkeypatch.setattr("equipoise.loading.load.load_planted", lambda _: tiny_model(seed=1))
    assert isinstance(method.fit(MODEL, NOTHING, seed=0), AdapterEdit)
    monkeypatch.setattr("equipoise.loading.load.load_planted", lambda _: tiny_model("bert"))
    with pytest.raises(ModelError):
        method.fit(MODEL, NOTHING, seed=0)


@pytest.mark.thorough
def test_an_adapter_of_another_program_needs_a_base(saved: Saved, tmp_path: Path) -> None:
    folder = Path(saved())
    for name in ("edit.json", "trained_on.json", "README.md"):
        (folder / name).unlink()
    MODEL.tokenizer.save_pretrained(tmp_path / "base")
    method = Transfer(edit=(str(folder),), base=str(tmp_path / "base"))
    edit = method.fit(MODEL, NOTHING, seed=0)
    assert edit.info.report["notes"] != []
    assert method.learnt() == frozenset()


def test_what_is_no_edit_or_names_no_base_is_refused(saved: Saved, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="must be a saved edit"):
        Transfer(edit=(str(tmp_path),)).fit(MODEL, NOTHING, seed=0)
    nameless = Transfer(edit=(saved(base_vocabulary="", base=""),))
    with pytest.raises(ModelError, match="names no base"):
        nameless.fit(MODEL, NOTHING, seed=0)
    with pytest.raises(OptionError):
        build(Mitigation, "transfer")


@pytest.mark.thorough
def test_the_command_writes_an_edit_that_is_measured_like_a_model(
    saved: Saved, tmp_path: Path
) -> None:
    MODEL.module.save_pretrained(tmp_path / "model")
    MODEL.tokenizer.save_pretrained(tmp_path / "model")
    setting = ("--set", f"transfer.edit={saved()}", "--set", "transfer.control=random")
    out = tmp_path / "moved"
    supply = ("--supply", "genbias", "--data", "planted:default")
    command = ("mitigate", str(tmp_path / "model"), "transfer", *setting, *supply)
    assert run([*command, "--out", str(out), "--seed", "2"]) == 0
    edit = load_edit(out)
    assert isinstance(edit, AdapterEdit)
    assert (edit.info.seed, edit.info.options["control_seed"]) == (2, 2)
    assert load(str(out)).trained_on == {"text 0"}
