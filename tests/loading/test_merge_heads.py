"""Merged heads: plain transformers loads the folder, and it can be set back to the last bit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_adapters import INFO, adapter_for, logits, quiet, weights
from transformers import AutoModelForCausalLM

from equipoise import cli
from equipoise.edits.edit import fingerprint
from equipoise.edits.head_scales import HeadScaleEdit, originals, weight_names
from equipoise.errors import ModelError
from equipoise.fakes import CAUSAL_FAMILIES
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.load import load
from equipoise.loading.merge import merge, unmerge
from equipoise.models.anatomy import heads
from equipoise.testing import tiny_model

CHOSEN = ((0, 1), (1, 0), (1, 2))
#: Where neither the base nor a setting of the configuration gives the projection a bias.
WITHOUT_BIAS = ("mistral", "qwen2")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))


def edit_of(model: LanguageModel, *, with_means: bool = False) -> HeadScaleEdit:
    size = heads(model.module).size
    means = {f"{n}.{h}": torch.linspace(-1, 1, size) * (1 + n + h) for n, h in CHOSEN}
    columns, biases = originals(model.module, CHOSEN, biases=with_means)
    stamp = fingerprint(model.module, weight_names(model.module, CHOSEN))
    return HeadScaleEdit(
        info=replace(INFO, base=model.identity, base_fingerprint=stamp),
        heads=CHOSEN,
        means=means if with_means else {},
        columns=columns,
        biases=biases,
    )


def plain_logits(folder: Path) -> torch.Tensor:
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        output: torch.Tensor = plain(input_ids=torch.tensor([[3, 70, 80, 90]])).logits
    return output


@pytest.mark.thorough
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_merged_heads_answer_alike_in_plain_transformers(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    with edit_of(model).attached(model) as edited:
        expected = logits(edited)
        merge(edited, tmp_path / "m")
    assert float((plain_logits(tmp_path / "m") - expected).abs().max()) == 0.0
    record = json.loads((tmp_path / "m" / "merged.json").read_text())
    assert [edit["applied"] for edit in record["edits"]] == ["weights"]
    assert load(str(tmp_path / "m")).trained_on == INFO.trained_on


@pytest.mark.thorough
@pytest.mark.parametrize("family", [name for name in CAUSAL_FAMILIES if name not in WITHOUT_BIAS])
def test_merged_means_are_in_a_bias(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    with edit_of(model, with_means=True).attached(model) as edited:
        expected = logits(edited)
        merge(edited, tmp_path / "m")
    torch.testing.assert_close(plain_logits(tmp_path / "m"), expected, rtol=0, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("family", WITHOUT_BIAS)
def test_means_without_a_bias_to_hold_them_are_refused(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    with (
        edit_of(model, with_means=True).attached(model) as edited,
        pytest.raises(ModelError, match=r"held by a bias to be merged, .* ablate to zero"),
    ):
        merge(edited, tmp_path / "m")
    assert not (tmp_path / "m").exists()
    # each remedy works: heads at zero are merged, and with means the edit's folder is measured
    with edit_of(model).attached(model) as edited:
        merge(edited, tmp_path / "m")


@pytest.mark.thorough
def test_heads_scaled_by_a_hook_are_refused_and_merged_after_the_adapter(tmp_path: Path) -> None:
    model = tiny_model("llama")
    with (
        adapter_for(model, target_modules=["o_proj"]).attached(model) as adapted,
        edit_of(adapted).attached(adapted) as edited,
    ):
        expected = logits(edited)
        with pytest.raises(ModelError, match="merge the adapter by itself"):
            merge(edited, tmp_path / "m")
    with adapter_for(model, target_modules=["o_proj"]).attached(model) as adapted:
        merge(adapted, tmp_path / "adapter")
    base = load(str(tmp_path / "adapter"))
    with edit_of(base).attached(base) as edited:
        merge(edited, tmp_path / "m")
    torch.testing.assert_close(plain_logits(tmp_path / "m"), expected, rtol=0, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("family", "with_means"),
    [(name, True) for name in CAUSAL_FAMILIES if name not in WITHOUT_BIAS]
    + [("llama", False), ("gpt2", False)],
)
def test_a_merged_folder_is_set_back_to_the_last_bit(
    family: str, with_means: bool, tmp_path: Path
) -> None:
    model = tiny_model(family)
    before, plain = weights(model), logits(model)
    edit = edit_of(model, with_means=with_means)
    with edit.attached(model) as edited:
        merge(edited, tmp_path / "m")
    unmerge(edit, load(str(tmp_path / "m")), tmp_path / "back")
    assert weights(load(str(tmp_path / "back"))) == before  # and no bias that merging made
    config = json.loads((tmp_path / "back" / "config.json").read_text())
    assert config.get("attention_bias") == model.module.config.to_dict().get("attention_bias")
    torch.testing.assert_close(plain_logits(tmp_path / "back"), plain, rtol=0, atol=1e-6)
    assert not (tmp_path / "back" / "merged.json").exists()


@pytest.mark.thorough
def test_the_command_merges_and_undoes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = tiny_model("llama")
    with quiet():
        model.module.save_pretrained("base")
        model.tokenizer.save_pretrained("base")
    edit_of(load("base")).save("edit")
    assert cli.run(["merge", "edit", "--base", "base", "--out", "m"]) == 0
    assert cli.run(["merge", "edit", "--undo", "m", "--out", "back"]) == 0
    assert "m with its heads as they were is in back, in float32" in capsys.readouterr().out
    assert weights(load("back")) == weights(model)
    assert cli.run(["merge", "edit", "--undo", "m", "--out", "other", "--json"]) == 0
    undone = {"folder": "other", "undone": "m", "dtype": "float32"}
    assert json.loads(capsys.readouterr().out) == undone
    # what was not merged with it is not set back
    assert cli.run(["merge", "edit", "--undo", "base", "--out", "again"]) == 2
    assert "must be merged with this edit alone" in capsys.readouterr().err
