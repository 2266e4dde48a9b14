"""What the editors share: requests of a supply or a file, the covariance, hints, and the record."""

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_editing import SUPPLY, states
from pydantic import ValidationError
from tiny_folder import save_tiny
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from equipoise.conformance import model_bytes
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.fakes import Start
from equipoise.loading.load import load
from equipoise.loading.merge import merge
from equipoise.mitigate.memit import Memit
from equipoise.mitigate.rome import Rome
from equipoise.model_editing.requests import EditRequest
from equipoise.models.anatomy import mlp_output
from equipoise.records import Contrast, NextToken, Supply
from equipoise.rows import text_sha256
from equipoise.testing import CAUSAL_FAMILIES, tiny_model

NAN = torch.full((32, 64), torch.nan)
QUICK: dict[str, Any] = {"prefixes": 0, "steps": 2, "limit": 2}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))


def fitted(supply: Supply = SUPPLY, **options: Any) -> WeightEdit:
    return Memit(**(QUICK | options)).fit(tiny_model(context=64), supply, seed=0)


@pytest.mark.thorough
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_every_family_is_edited_and_undone_bit_for_bit(family: str) -> None:
    model = tiny_model(family, context=64)
    before = model_bytes(model)
    edit = Memit(**QUICK).fit(model, SUPPLY, seed=0)
    assert model_bytes(model) == before
    with edit.attached(model):
        assert model_bytes(model) != before
    assert model_bytes(model) == before


def test_tied_heads_and_embeddings_are_left_alone() -> None:
    model = tiny_model("gpt2", context=64)
    head, embeddings = model.module.get_output_embeddings(), model.module.get_input_embeddings()
    assert head.weight is embeddings.weight
    before = head.weight.detach().clone()
    edit = Memit(**QUICK).fit(model, SUPPLY, seed=0)
    assert list(edit.tensors) == ["transformer.h.0.mlp.c_proj.weight"]
    with edit.attached(model):
        assert head.weight is embeddings.weight
        assert torch.equal(head.weight, before)


@pytest.mark.thorough
@pytest.mark.parametrize("start", ["bos", "eos", "none"])
def test_the_side_of_padding_does_not_matter_with_any_start(start: Start) -> None:
    model = tiny_model("llama", context=64, bos=start)
    contents = []
    for side in ("left", "right"):
        model.tokenizer.padding_side = side
        edit = Memit(prefixes=1, steps=2, limit=3).fit(model, SUPPLY, seed=0)
        contents.append(edit.content)
    assert contents[0] == contents[1]


def test_a_model_that_fails_in_the_middle_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(context=64)
    before = model_bytes(model)
    # not by its dotted name, as `equipoise.mitigate` is a function, too
    room = importlib.import_module("equipoise.mitigate.rome")
    monkeypatch.setattr(room, "rank_one_update", lambda *_: NAN)
    with pytest.raises(ModelError, match=r"the loss of request '\w+' must be finite, got nan"):
        Rome(**QUICK).fit(model, SUPPLY, seed=0)
    assert model_bytes(model) == before


def test_anti_asks_for_the_less_likely_word() -> None:
    model = tiny_model(context=64)
    edit = Memit(prefixes=0, steps=2).fit(model, SUPPLY, seed=0)
    asked = [NextToken(context=p.text, words=(" he", " she")) for p in SUPPLY.prompts]
    likelier = [a.logprobs[0] > a.logprobs[1] for a in model.next_token(asked)]
    wanted = {" she": sum(likelier), " he": len(likelier) - sum(likelier)}
    assert edit.info.report["targets"] == {word: n for word, n in wanted.items() if n}
    assert fitted(target="parity").info.report["targets"] == {" he |  she": 2}


def test_a_pair_is_a_contrast_whose_context_has_its_target() -> None:
    contrasts = tuple(
        Contrast(
            id=job,
            context=context,
            stereotype=" she",
            antistereotype=" he",
            groups={"target": job},
        )
        for job, context in (("nurse", "The nurse is"), ("baker", "It is"))
    )
    edit = fitted(replace(SUPPLY, contrasts=contrasts), target="pair")
    assert (edit.info.report["requests"], edit.info.report["left_out"]) == (1, 1)
    with pytest.raises(RecipeError, match="got 1 without from 'plain'"):
        fitted(replace(SUPPLY, contrasts=contrasts[1:]), target="pair")
    with pytest.raises(RecipeError, match="must have contrasts, got none from 'plain'"):
        fitted(target="pair")


def test_requests_of_a_file_are_edited_and_recorded_as_learnt(tmp_path: Path) -> None:
    file = tmp_path / "edits.json"
    entry = {"prompt": "Ada is a", "subject": "Ada", "target_new": "poet"}
    file.write_text(json.dumps([entry, entry | {"target_new": "cook", "locality": {}}]))
    method = Memit(**QUICK, requests=str(file))
    assert method.required == ()
    assert list(method.files()) == [str(file)]
    edit = method.fit(tiny_model(context=64), replace(SUPPLY, prompts=()), seed=0)
    report = edit.info.report
    assert report["contradictions"] == [{"prompt": "Ada is a", "targets": [" cook", " poet"]}]
    assert (report["opposed_subjects"], report["unread_keys"]) == (1, ["locality"])
    assert text_sha256("Ada is a poet") in edit.info.trained_on
    assert text_sha256(SUPPLY.texts[0]) in edit.info.trained_on


@pytest.mark.thorough
def test_the_corpus_is_a_file_the_supplys_texts_or_the_models_own(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("The lamp is lit.\nThe door is open.\n")
    edit = fitted(corpus=str(file), corpus_texts=1)
    assert (edit.info.report["corpus"], edit.info.report["corpus_texts"]) == ("texts.txt", 1)
    assert text_sha256("The lamp is lit.") in edit.info.trained_on
    assert fitted().info.report["corpus_texts"] == len(SUPPLY.texts)
    file.write_text("".join(f"Lamp {number} is lit.\n" for number in range(53)))
    edit = fitted(corpus=str(file), corpus_texts=52)
    assert edit.info.report["corpus_texts"] == 2  # the other 50 are looked at
    assert edit.info.report["covariance_tokens"] == 2 * (len("Lamp 0 is lit.") + 1)
    assert edit.info.report["trajectory_n"] == {"dev": 2, "hinted": 8, "texts": 50}
    written = fitted(replace(SUPPLY, texts=()), corpus_texts=1)
    assert written.info.report["corpus"] == "written by the model itself"
    tokens = written.info.report["covariance_tokens"]
    assert isinstance(tokens, int)
    assert 0 < tokens <= 64
    shrinkage = written.info.report["covariance_shrinkage"]
    assert isinstance(shrinkage, dict)
    assert set(shrinkage) == {"0"}


def test_hinted_keys_are_moved_less_when_they_are_kept() -> None:
    model = tiny_model(context=64)
    moved = []
    hinted = SUPPLY.hinted[0].text
    whole = EditRequest(id="", prompt=hinted, subject=hinted, start=0, targets=())
    key, _ = states(model, whole, "", mlp_output(model.module, 0))
    for weight in (0.0, 1e4):
        edit = fitted(keep_hints=weight, covariance_weight=1.0)
        (name,) = edit.tensors
        change = edit.tensors[name] - model.module.get_parameter(name).detach()
        moved.append(float((change @ key).norm() / change.norm()))
        assert edit.info.report.get("hinted_keys") == (8 if weight else None)
    assert moved[1] < 0.1 * moved[0]
    with pytest.raises(RecipeError, match="must have hinted, got none"):
        fitted(replace(SUPPLY, hinted=()), keep_hints=1.0)


@pytest.mark.thorough
def test_a_merged_edit_is_an_ordinary_folder(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    edit = Memit(**QUICK).fit(load(str(folder)), SUPPLY, seed=0)
    edit.save(tmp_path / "edit")
    edited = load(str(tmp_path / "edit"))
    merge(edited, tmp_path / "merged")
    assert model_bytes(load(str(tmp_path / "merged"))) == model_bytes(edited)


def test_models_that_cannot_be_edited_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"memit needs a causal model, \S+ is masked"):
        Memit(**QUICK).fit(tiny_model("bert", context=64), SUPPLY, seed=0)
    model = tiny_model(context=64)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "vocab_size": 32}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    config = CONFIG_MAPPING["mixtral"](**sizes, **heads, num_hidden_layers=1, num_local_experts=2)
    mixture = replace(model, module=AutoModelForCausalLM.from_config(config))
    with pytest.raises(ModelError, match="block 0 of MixtralForCausalLM must have a single output"):
        Memit(**QUICK).fit(mixture, SUPPLY, seed=0)
    with pytest.raises(RecipeError, match=r"blocks must be different numbers .* got \[5\]"):
        Rome(**QUICK, block=5).fit(tiny_model(context=64), SUPPLY, seed=0)
    monkeypatch.setattr(
        "equipoise.models.quantization.read_quantization", lambda _: {"method": "x", "bits": 4}
    )
    with pytest.raises(ModelError, match=r"rome changes weights themselves.* quantized"):
        Rome(**QUICK).fit(tiny_model(context=64), SUPPLY, seed=0)


@pytest.mark.parametrize(
    ("option", "value"),
    [("words", (" he", " he")), ("steps", 1), ("target", "both"), ("limit", 0), ("clamp", 0.0)],
)
def test_values_out_of_range_are_refused(option: str, value: object) -> None:
    with pytest.raises(ValidationError, match=option):
        Memit(**{option: value})  # type: ignore[arg-type]
