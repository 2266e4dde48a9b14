"""A merged model is a folder that plain transformers loads, and it measures as the edit does."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from tiny_adapters import INFO, adapter_for, logits, quiet, weights
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    MixtralConfig,
    MixtralForCausalLM,
)

import equipoise as eq
from equipoise import cli
from equipoise.decoding.self_debias_rule import SelfDebiasing
from equipoise.edits.adapter import AdapterEdit, read_adapter
from equipoise.edits.edit import fingerprint
from equipoise.edits.model_card import without_places
from equipoise.edits.prompts import PromptEdit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, StoreError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading import merge as merging
from equipoise.loading.load import load
from equipoise.loading.merge import merge
from equipoise.records import JSON, Continuation
from equipoise.testing import tiny_model

REQUESTS = [Continuation(context="the nurse said that", continuation=" she")]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))


def weight_edit(model: LanguageModel) -> WeightEdit:
    name = next(name for name, value in model.module.named_parameters() if value.ndim == 2)
    tensors = {name: model.module.get_parameter(name).detach() * 1.5}  # the token embeddings
    info = replace(INFO, base_fingerprint=fingerprint(model.module, tensors))
    return WeightEdit(info=info, tensors=tensors)


def trained_adapter(family: str, folder: Path, config: peft.PeftConfig) -> AdapterEdit:
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(0)
        wrapped = peft.get_peft_model(tiny_model(family).module, config)
        with torch.no_grad():
            for parameter in wrapped.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1 * torch.randn(parameter.shape))
        wrapped.save_pretrained(folder, save_embedding_layers=False)
    return read_adapter(folder)


CONFIGS: dict[str, tuple[str, peft.PeftConfig]] = {
    "dora": ("llama", peft.LoraConfig(target_modules=["q_proj", "down_proj"], use_dora=True)),
    "biases": ("gpt2", peft.LoraConfig(target_modules=["c_attn"], bias="all")),
    "vera": ("llama", peft.VeraConfig(target_modules=["q_proj", "v_proj"], r=4)),
    "one of two tied tables": (
        "gpt2",
        peft.LoraConfig(target_modules=["c_attn"], modules_to_save=["wte"]),
    ),
    "lora on both tied tables": ("gpt2", peft.LoraConfig(target_modules=["wte", "lm_head"])),
    "lora on one tied table": ("opt", peft.LoraConfig(target_modules=["embed_tokens"])),
    "trainable tokens": (
        "opt",
        peft.TrainableTokensConfig(target_modules=["embed_tokens"], token_indices=[5, 70]),
    ),
    "masked": ("bert", peft.LoraConfig(target_modules=["query"])),
}

CANNOT_MERGE: dict[str, peft.PeftConfig] = {
    "lily": peft.LilyConfig(target_modules=["q_proj"]),
    "lora": peft.LoraConfig(target_modules=["q_proj"], lora_bias=True),  # the base has no biases
}


def check_merged(model: LanguageModel, folder: Path, auto: Any = AutoModelForCausalLM) -> None:
    """Merge an edited model; what plain transformers and `load` make of the folder is equal."""
    expected, scored = logits(model), None
    if model.kind == "causal":
        scored = model.score(REQUESTS)[0]
    before = weights(model)
    merged = merge(model, folder)
    assert weights(model) == before
    assert torch.equal(logits(model), expected)
    plain = auto.from_pretrained(folder).eval()
    with torch.no_grad():
        got = plain(input_ids=torch.tensor([[3, 70, 80, 90]])).logits
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
    again = load(str(folder))
    if scored is not None:
        assert again.score(REQUESTS)[0].logprob == pytest.approx(scored.logprob, abs=1e-5)
    assert again.identity == f"{folder.name}@{str(again.source['fingerprint'])[:8]}"
    assert again.trained_on == model.trained_on
    assert again.source["edits"] == without_places(model.source["edits"])
    assert max(merged.merging, merged.rounding) < 1e-4
    assert again.info["start_token"] == model.info["start_token"]


@pytest.mark.thorough
@pytest.mark.parametrize("case", CONFIGS)
def test_a_foreign_adapter_is_merged(case: str, tmp_path: Path) -> None:
    family, config = CONFIGS[case]
    edit = trained_adapter(family, tmp_path / "a", config)
    auto = AutoModelForMaskedLM if family == "bert" else AutoModelForCausalLM
    with edit.attached(tiny_model(family)) as edited:
        plain = tiny_model(family)
        assert not torch.allclose(logits(edited), logits(plain), atol=1e-3)
        check_merged(edited, tmp_path / "m", auto)


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma"])
def test_replaced_weights_and_a_learnt_adapter_are_merged(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    targets: JSON = ["c_attn"] if family == "gpt2" else ["q_proj", "v_proj"]
    adapter = adapter_for(model, target_modules=targets, fan_in_fan_out=family == "gpt2")
    with weight_edit(model).attached(model) as edited:
        check_merged(edited, tmp_path / "weights")
        with replace(adapter, info=replace(adapter.info, base_fingerprint="")).attached(
            edited
        ) as twice:
            check_merged(twice, tmp_path / "both")
    record = json.loads((tmp_path / "both" / "merged.json").read_text())
    assert [edit["method"] for edit in record["edits"]] == ["unlearn", "unlearn"]
    assert record["trained_on"] == sorted(INFO.trained_on)
    assert record["base"] == model.identity


@pytest.mark.thorough
def test_added_tokens_are_merged_with_their_rows(tmp_path: Path) -> None:
    base = tiny_model("llama")
    base.module.save_pretrained(tmp_path / "base")
    base.tokenizer.save_pretrained(tmp_path / "base")
    module = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    tokenizer.add_special_tokens({"bos_token": "<|turn|>"})
    with quiet(), torch.random.fork_rng():
        module.resize_token_embeddings(len(tokenizer))
        config = peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
        peft.get_peft_model(module, config).save_pretrained(tmp_path / "a")
    tokenizer.save_pretrained(tmp_path / "a")
    check_merged(load(str(tmp_path / "a"), base=str(tmp_path / "base")), tmp_path / "m")
    merged = AutoTokenizer.from_pretrained(tmp_path / "m")
    assert merged.bos_token == "<|turn|>"
    assert load(str(tmp_path / "m")).module.config.vocab_size == 260


@pytest.mark.thorough
def test_bfloat16_is_rounded_and_says_so(tmp_path: Path) -> None:
    model = tiny_model("llama")
    with adapter_for(model).attached(model) as edited:
        expected = logits(edited)
        merged = merge(edited, tmp_path / "m", dtype="bfloat16")
    again = load(str(tmp_path / "m"))  # as float32, on a processor
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    difference = float((logits(again) - expected).abs().max())
    assert 1e-4 < difference < 0.5
    assert merged.rounding > 1e-4


@pytest.mark.thorough
def test_a_measured_text_that_was_learnt_from_stays_refused(tmp_path: Path) -> None:
    model = tiny_model("llama")
    with weight_edit(model).attached(model) as edited:
        before = eq.measure(edited, "genbias", data="planted:default", limit=6, draws=0)
        merge(edited, tmp_path / "m")
    again = load(str(tmp_path / "m"))
    after = eq.measure(again, "genbias", data="planted:default", limit=6, draws=0)
    for left, right in zip(before.estimates, after.estimates, strict=True):
        assert right.value == pytest.approx(left.value, abs=1e-5, nan_ok=True)
    assert again.trained_on == INFO.trained_on
    assert after.model_info["merged_into"] == model.identity
    record = tmp_path / "m" / "merged.json"
    record.write_text('{"schema": 1}')
    with pytest.raises(ModelError, match=r"merged\.json must be the record"):
        load(str(tmp_path / "m"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompts": ("Be fair. ",)}, "has the prompt 'Be fair. '"),
        (
            {"decoding_rule": SelfDebiasing(prefixes=("It is rude:",))},
            "decoding rule 'self_debias'",
        ),
        ({"source": {}}, "has none; load an edit"),
    ],
)
def test_what_is_no_weights_is_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    model = tiny_model("llama")
    with (
        weight_edit(model).attached(model) as edited,
        pytest.raises(ModelError, match=message),
    ):
        merge(replace(edited, **change), tmp_path / "m")
    assert list(tmp_path.glob("*m*")) == []


@pytest.mark.parametrize("kind", CANNOT_MERGE)
def test_a_kind_that_peft_cannot_merge_is_refused(kind: str, tmp_path: Path) -> None:
    config = CANNOT_MERGE[kind]
    edit = trained_adapter("llama", tmp_path / "a", config)
    with (
        edit.attached(tiny_model("llama")) as edited,
        pytest.raises(ModelError, match=rf"{kind} is not on 'model.layers.0.self_attn.q_proj'"),
    ):
        merge(edited, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_the_folder_must_be_new_and_appears_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model("llama")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with weight_edit(model).attached(model) as edited:
        with pytest.raises(StoreError, match="into a new or empty folder"):
            merge(edited, tmp_path / "full")
        with pytest.raises(ModelError, match="dtype 'float8' is not known"):
            merge(edited, tmp_path / "m", dtype="float8")
        monkeypatch.setattr(merging, "_save_tokenizer", stop)
        with pytest.raises(KeyboardInterrupt):
            merge(edited, tmp_path / "m")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


@pytest.mark.thorough
def test_a_setting_of_generation_that_saving_refuses_is_kept(tmp_path: Path) -> None:
    model = tiny_model("llama")
    model.module.generation_config.temperature = 0.6  # without do_sample
    with weight_edit(model).attached(model) as edited:
        merge(edited, tmp_path / "m")
    stored = json.loads((tmp_path / "m" / "generation_config.json").read_text())
    assert stored["temperature"] == 0.6
    assert model.module.generation_config.temperature == 0.6


@pytest.mark.thorough
def test_the_command_merges_and_what_it_wrote_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model("llama")
    model.module.save_pretrained(tmp_path / "base")
    model.tokenizer.save_pretrained(tmp_path / "base")
    weight_edit(model).save(tmp_path / "edit")
    PromptEdit(info=INFO, prompts=("Be fair. ",)).save(tmp_path / "prompt")
    command = ["merge", str(tmp_path / "edit"), "--base", str(tmp_path / "base")]
    assert cli.run([*command, "--out", str(tmp_path / "m")]) == 0
    assert f"with unlearn merged is in {tmp_path / 'm'}, in float32" in capsys.readouterr().out
    assert (tmp_path / "m" / "model.safetensors").stat().st_mode & 0o040  # not the owner alone
    assert cli.run([*command, "--out", str(tmp_path / "h"), "--dtype", "bfloat16"]) == 0
    assert "rounding to bfloat16 moved log-probabilities" in capsys.readouterr().out
    assert cli.run([*command, "--out", str(tmp_path / "m")]) == 2
    assert "into a new or empty folder" in capsys.readouterr().err
    assert cli.run(["merge", str(tmp_path / "base"), "--out", str(tmp_path / "n")]) == 2
    assert "must be a saved edit" in capsys.readouterr().err
    command[1] = str(tmp_path / "prompt")
    assert cli.run([*command, "--out", str(tmp_path / "n")]) == 2
    assert "has the prompt 'Be fair. '" in capsys.readouterr().err
    edited = load(str(tmp_path / "edit"), base=str(tmp_path / "base"))
    assert torch.equal(logits(load(str(tmp_path / "m"))), logits(edited))


@pytest.mark.thorough
@pytest.mark.parametrize("start", ["none", "h"])
def test_a_merged_model_begins_texts_as_the_edit_does(start: str, tmp_path: Path) -> None:
    model = replace(tiny_model("llama"), start=start)
    with weight_edit(model).attached(model) as edited:
        check_merged(edited, tmp_path / "m")
    assert load(str(tmp_path / "m")).start == start
    assert load(str(tmp_path / "m"), start="bos").info["start_token"] == "<bos>"
    record = tmp_path / "m" / "merged.json"
    document = json.loads(record.read_text())
    del document["start"]  # a record of before
    record.write_text(json.dumps(document))
    assert load(str(tmp_path / "m")).start == "auto"


@pytest.mark.thorough
def test_the_record_names_a_base_with_a_plus(tmp_path: Path) -> None:
    model = replace(tiny_model("llama"), identity="c++@1f0c2ab7")
    with weight_edit(model).attached(model) as edited:
        assert merge(edited, tmp_path / "m").record.base == "c++@1f0c2ab7"


@pytest.mark.thorough
def test_experts_with_several_adapted_parameters_are_merged(tmp_path: Path) -> None:
    shape = {"hidden_size": 32, "intermediate_size": 16, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 259}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = MixtralForCausalLM(MixtralConfig(num_local_experts=4, **shape, **heads)).eval()
    module.save_pretrained(tmp_path / "base")
    tiny_model("llama").tokenizer.save_pretrained(tmp_path / "base")
    experts = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
    config = peft.LoraConfig(
        target_modules=["q_proj"], target_parameters=experts, init_lora_weights=False
    )
    with quiet():
        peft.get_peft_model(module, config).save_pretrained(tmp_path / "a")
    check_merged(load(str(tmp_path / "a"), base=str(tmp_path / "base")), tmp_path / "m")


@pytest.mark.slow
def test_a_killed_merge_leaves_no_folder_and_may_be_repeated(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from equipoise import cli\n"
        "from equipoise.loading import merge as m\n"
        "if 'die' in sys.argv:\n"
        "    m._save_tokenizer = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.exit(cli.run(['merge', 'edit', '--base', 'base', '--out', 'm']))"
    )
    model = tiny_model("llama")
    model.module.save_pretrained(tmp_path / "base")
    model.tokenizer.save_pretrained(tmp_path / "base")
    weight_edit(model).save(tmp_path / "edit")
    for arguments, status in ((["die"], -signal.SIGKILL), ([], 0)):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], check=False, cwd=tmp_path, env={**os.environ}
        )
        assert (done.returncode, (tmp_path / "m").exists()) == (status, status == 0)
