"""Transfer as a mitigation: which edit a seed takes, whose vocabulary, and what was learnt."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from equipoise.edits.adapter import AdapterEdit, wanted_tensors
from equipoise.edits.edit import EditInfo
from equipoise.edits.transfer_controls import update_norm
from equipoise.errors import ModelError, OptionError, RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.transfer import Transfer
from equipoise.models.vocabulary import vocabulary_of
from equipoise.plugins import build
from equipoise.records import JSON, Supply
from equipoise.testing import tiny_model

NOTHING = Supply(origin="none")
CONFIG: dict[str, JSON] = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}
MODEL = tiny_model("llama")

Saved = Callable[..., str]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Save an adapter of another tiny model; gives its folder."""

    def save(seed: int = 0, **known: str) -> str:
        generator = torch.Generator().manual_seed(seed)
        tensors = {
            name: torch.randn(shape, generator=generator)
            for name, shape in wanted_tensors(MODEL, CONFIG).items()
        }
        info = EditInfo(
            method="unlearn",
            version="1",
            options={},
            seed=seed,
            base="elsewhere",
            base_fingerprint="",
            trained_on=frozenset({f"text {seed}"}),
            origin="lessons",
            base_vocabulary=str(vocabulary_of(MODEL.tokenizer)),
        )
        folder = tmp_path / f"edit-{seed}"
        AdapterEdit(info=replace(info, **known), config=CONFIG, tensors=tensors).save(folder)
        return str(folder)

    return save


def test_the_edit_is_the_adapter_and_says_what_it_learnt(saved: Saved) -> None:
    method = build(Mitigation, "transfer", {"edit": saved()})
    assert isinstance(method, Transfer)
    edit = method.fit(MODEL, NOTHING, seed=7)
    assert (edit.info.seed, edit.info.base) == (7, MODEL.identity)
    assert edit.info.trained_on == method.learnt() == {"text 0"}
    assert edit.info.origin == "lessons"
    assert edit.info.options == {"control": "none", "scale": 1.0, "more_tokens": False}


def test_a_control_and_a_scale_are_options(saved: Saved) -> None:
    folder = saved()
    whole = Transfer(edit=(folder,)).fit(MODEL, NOTHING, seed=0)
    half = Transfer(edit=(folder,), control="random", scale=0.5)
    made = half.fit(MODEL, NOTHING, seed=3)
    assert update_norm(made) == pytest.approx(0.5 * update_norm(whole), rel=1e-5)
    assert made.content == half.fit(MODEL, NOTHING, seed=3).content
    assert made.content != half.fit(MODEL, NOTHING, seed=4).content
    assert made.info.trained_on == whole.info.trained_on


def test_of_several_edits_each_seed_takes_its_own(saved: Saved) -> None:
    folders = (saved(1), saved(0))
    method = Transfer(edit=folders)
    one = method.fit(MODEL, NOTHING, seed=1)
    assert one.info.report["from_seed"] == 1
    assert method.fit(MODEL, NOTHING, seed=0).info.trained_on == {"text 0"}
    assert method.learnt() == {"text 0", "text 1"}
    assert method.files().keys() == set(folders)
    with pytest.raises(RecipeError, match=r"one edit of seed 2, .* of the seeds \[1, 0\]"):
        method.fit(MODEL, NOTHING, seed=2)


def test_another_base_may_be_named_for_its_vocabulary(saved: Saved, tmp_path: Path) -> None:
    folder = saved(base_vocabulary="")
    with pytest.raises(ModelError, match="tokenizer must load to compare vocabularies, got of 'el"):
        Transfer(edit=(folder,)).fit(MODEL, NOTHING, seed=0)
    MODEL.tokenizer.save_pretrained(tmp_path / "base")
    method = Transfer(edit=(folder,), base=str(tmp_path / "base"))
    assert method.fit(MODEL, NOTHING, seed=0).info.report["from_base"] == "elsewhere"
    tiny_model("bert").tokenizer.save_pretrained(tmp_path / "other")
    with pytest.raises(ModelError, match=f"every token of {tmp_path / 'other'} must have the same"):
        Transfer(edit=(folder,), base=str(tmp_path / "other")).fit(MODEL, NOTHING, seed=0)


def test_an_edit_that_names_nothing_must_be_told_its_base(saved: Saved) -> None:
    folder = saved(base_vocabulary="", base="")
    with pytest.raises(ModelError, match=r"names no base on disk or on the Hub; give a model"):
        Transfer(edit=(folder,)).fit(MODEL, NOTHING, seed=0)


def test_what_is_no_edit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="must be a saved edit"):
        Transfer(edit=(str(tmp_path),)).fit(MODEL, NOTHING, seed=0)
    with pytest.raises(OptionError, match=r"transfer\.edit must be given, it has no default"):
        build(Mitigation, "transfer")
