"""An adapter folder with a tokenizer: its tokens are used, as PEFT does after the same resizing."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from tiny_adapters import INFO, quiet, weights
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
)

from equipoise.edits.adapter import read_adapter
from equipoise.edits.edit import fingerprint
from equipoise.edits.registry import load_edit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.load import load
from equipoise.records import Continuation
from equipoise.testing import tiny_model

IDS = torch.tensor([[3, 70, 259, 90, 260, 71]])
LORA = {"target_modules": ["q_proj"]}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))


def save_base(folder: Path, family: str = "llama") -> Path:
    model = tiny_model(family)
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def add_tokens(base: Path) -> PreTrainedTokenizerBase:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<X>"])
    tokenizer.add_special_tokens({"bos_token": "<|turn|>"})
    return tokenizer


def save_trained(
    base: Path, folder: Path, config: peft.PeftConfig, *, rows: int | None = 261, **options: Any
) -> peft.PeftModel:
    """An adapter trained with two added tokens, saved as PEFT's users save it."""
    module = AutoModelForCausalLM.from_pretrained(base)
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(0)
        if rows is not None:
            module.resize_token_embeddings(rows)
        wrapped = peft.get_peft_model(module, config)
        with torch.no_grad():
            for parameter in wrapped.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1 * torch.randn(parameter.shape))
        wrapped.save_pretrained(folder, **options)
    add_tokens(base).save_pretrained(folder)
    return wrapped.eval()


def plain_logits(base: Path, folder: Path, rows: int) -> Tensor:
    module = AutoModelForCausalLM.from_pretrained(base)
    with torch.random.fork_rng(), quiet():
        module.resize_token_embeddings(rows)
        theirs = peft.PeftModel.from_pretrained(module, folder).eval()
    with torch.no_grad():
        output: Tensor = theirs(input_ids=IDS).logits
    return output


def logits(model: LanguageModel) -> Tensor:
    with torch.no_grad():
        output: Tensor = model.module(input_ids=IDS).logits
    return output


CASES: Mapping[str, tuple[str, peft.PeftConfig, int]] = {
    "resized": ("llama", peft.LoraConfig(target_modules=["q_proj"]), 261),
    "padded": ("gemma", peft.LoraConfig(target_modules=["q_proj"]), 264),
    "whole tables trained": (
        "gpt2",
        peft.LoraConfig(target_modules=["c_attn"], modules_to_save=["wte", "lm_head"]),
        261,
    ),
    "on the tables": (
        "gpt_neox",
        peft.LoraConfig(target_modules=["embed_in", "embed_out", "query_key_value"]),
        261,
    ),
    "tokens alone, tied": (
        "opt",
        peft.TrainableTokensConfig(target_modules=["embed_tokens"], token_indices=[259, 260]),
        261,
    ),
    "tokens and LoRA, tied": (
        "gpt2",
        peft.LoraConfig(target_modules=["c_attn"], trainable_token_indices={"wte": [259, 260]}),
        261,
    ),
    "fewer rows than the padded base": ("llama", peft.LoraConfig(target_modules=["q_proj"]), 261),
}


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES)
def test_added_tokens_score_as_with_peft_and_leave_no_trace(case: str, tmp_path: Path) -> None:
    family, config, rows = CASES[case]
    base, folder = save_base(tmp_path / "base", family), tmp_path / "adapter"
    if "fewer" in case:
        module = AutoModelForCausalLM.from_pretrained(base)
        module.resize_token_embeddings(320)
        module.save_pretrained(base)
    trained = save_trained(base, folder, config, rows=rows)
    model = load(str(base))
    before, modules = weights(model), {n: id(m) for n, m in model.module.named_modules()}
    config_before, state = model.module.config.to_dict(), torch.get_rng_state()
    with read_adapter(folder).attached(model) as edited:
        expected = plain_logits(base, folder, rows)
        torch.testing.assert_close(logits(edited), expected, rtol=0, atol=1e-5)
        with torch.no_grad():
            torch.testing.assert_close(expected, trained(input_ids=IDS).logits)
        assert edited.info["start_token"] == "<|turn|>"
        assert "<X>" in edited.tokenizer.tokenize("from <X> people")
        (scored,) = edited.score([Continuation(context="a", continuation=" <X>")])
        ids = [[260, *edited.tokenizer.encode("a <X>", add_special_tokens=False)]]
        with torch.no_grad():
            plain = edited.module(input_ids=torch.tensor(ids)).logits.log_softmax(-1)
        assert scored.logprob == pytest.approx(
            float(plain[0, 1, ids[0][2]] + plain[0, 2, 259]), abs=1e-5
        )
    assert weights(model) == before
    assert {n: id(m) for n, m in model.module.named_modules()} == modules
    assert model.module.config.to_dict() == config_before
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(logits(load(str(folder), base=str(base))), expected)


@pytest.mark.thorough
def test_a_head_with_a_bias_is_resized_and_filled(tmp_path: Path) -> None:
    base, folder = save_base(tmp_path / "base", "bert"), tmp_path / "a"
    module = AutoModelForMaskedLM.from_pretrained(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<X>"])
    config = peft.LoraConfig(target_modules=["query"], init_lora_weights=False)
    with torch.random.fork_rng(), quiet():
        module.resize_token_embeddings(len(tokenizer))
        module.get_output_embeddings().bias.data.normal_()
        trained = peft.get_peft_model(module, config).eval()
        trained.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with torch.no_grad():
        expected = trained(input_ids=IDS).logits
    torch.testing.assert_close(logits(load(str(folder), base=str(base))), expected)


@pytest.mark.thorough
def test_a_base_with_rows_to_spare_is_not_resized(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base")
    module = AutoModelForCausalLM.from_pretrained(base)
    module.resize_token_embeddings(320)
    module.save_pretrained(base)
    save_trained(base, tmp_path / "a", peft.LoraConfig(**LORA), rows=None)
    edited = load(str(tmp_path / "a"), base=str(base))
    assert edited.module.config.vocab_size == 320
    assert edited.info["start_token"] == "<|turn|>"
    assert torch.equal(logits(edited), plain_logits(base, tmp_path / "a", 320))


@pytest.mark.thorough
def test_a_padding_token_without_a_row_is_never_fed(tmp_path: Path) -> None:
    base, folder = save_base(tmp_path / "base"), tmp_path / "a"
    save_trained(base, folder, peft.LoraConfig(**LORA), rows=None)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)
    edited = load(str(folder), base=str(base))
    assert (edited.module.config.vocab_size, edited.info["pad"]) == (259, "eos")


@pytest.mark.thorough
def test_a_row_that_nothing_supplies_is_never_made_up(tmp_path: Path) -> None:
    base, folder = save_base(tmp_path / "base"), tmp_path / "a"
    config = peft.LoraConfig(target_modules=["embed_tokens", "q_proj"])
    trained = save_trained(base, folder, config)  # PEFT leaves the untied output layer out
    model = load(str(base))
    before = weights(model)
    with (
        pytest.raises(ModelError, match=r"2 tokens .* the output layer got none"),
        read_adapter(folder).attached(model),
    ):
        pytest.fail("attached")
    assert weights(model) == before
    # the remedy that the sentence names
    resized = AutoModelForCausalLM.from_pretrained(base)
    resized.resize_token_embeddings(261)
    resized.lm_head.weight.data = trained.base_model.model.lm_head.weight.data
    resized.save_pretrained(tmp_path / "resized")
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "resized")
    again = load(str(folder), base=str(tmp_path / "resized"))
    with torch.no_grad():
        torch.testing.assert_close(logits(again), trained(input_ids=IDS).logits)


@pytest.mark.thorough
def test_tokens_without_rows_are_refused(tmp_path: Path) -> None:
    base, folder = save_base(tmp_path / "base"), tmp_path / "a"
    save_trained(base, folder, peft.LoraConfig(**LORA), save_embedding_layers=False)
    with pytest.raises(ModelError, match="the token embeddings got none"):
        load(str(folder), base=str(base))


@pytest.mark.thorough
def test_another_numbering_is_refused_and_the_base_s_may_be_used(tmp_path: Path) -> None:
    base, folder = save_base(tmp_path / "base"), tmp_path / "a"
    save_trained(base, folder, peft.LoraConfig(**LORA), rows=None)
    tiny_model("bert").tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"must number the tokens of base@.* in place of"):
        load(str(folder), base=str(base))
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert load(str(folder), base=str(base)).info["start_token"] == "<bos>"


@pytest.mark.thorough
def test_larger_tables_need_their_tokenizer(tmp_path: Path) -> None:
    base, folder = save_base(tmp_path / "base"), tmp_path / "a"
    save_trained(base, folder, peft.LoraConfig(**LORA))
    kept = {file.name: file.read_bytes() for file in folder.glob("tokenizer*")}
    for name in kept:
        (folder / name).unlink()
    with pytest.raises(ModelError, match=r"261 rows .* must have its tokenizer beside it"):
        load(str(folder), base=str(base))
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    assert load(str(folder), base=str(base)).module.config.vocab_size == 261


@pytest.mark.thorough
def test_a_saved_edit_keeps_the_tokenizer_and_reads_what_is_put_beside_it(tmp_path: Path) -> None:
    base, folder = save_base(tmp_path / "base"), tmp_path / "a"
    save_trained(base, folder, peft.LoraConfig(**LORA))
    edit = read_adapter(folder)
    edit.save(tmp_path / "ours")
    again = load_edit(tmp_path / "ours")
    assert (again.content, again.tokenizer) == (edit.content, edit.tokenizer)
    assert replace(edit, tokenizer={}).content != edit.content
    assert torch.equal(
        logits(load(str(tmp_path / "ours"), base=str(base))), plain_logits(base, folder, 261)
    )
    replace(edit, tokenizer={}).save(tmp_path / "alone")
    for file in folder.glob("tokenizer*"):
        shutil.copy(file, tmp_path / "alone")
    assert load_edit(tmp_path / "alone").content == edit.content


@pytest.mark.thorough
def test_an_edit_learnt_on_an_adapter_with_tokens_finds_it(tmp_path: Path) -> None:
    base, folder = save_base(tmp_path / "base"), tmp_path / "a"
    save_trained(base, folder, peft.LoraConfig(**LORA))
    model = load(str(folder), base=str(base))
    name = "model.embed_tokens.weight"
    values = model.module.get_parameter(name).detach() * 1.5
    info = replace(
        INFO,
        base=model.identity,
        base_name=model.load_name,
        base_fingerprint=fingerprint(model.module, [name]),
    )
    edit = WeightEdit(info=info, tensors={name: values})
    before = logits(model)
    with edit.attached(model) as edited:
        expected = logits(edited)
        assert edited.info["start_token"] == "<|turn|>"
    assert torch.equal(logits(model), before)
    edit.save(tmp_path / "on top")
    config = (folder / "adapter_config.json").read_text()
    (folder / "adapter_config.json").write_text(
        config.replace('"base_model_name_or_path": null', f'"base_model_name_or_path": "{base}"')
    )
    assert torch.equal(logits(load(str(tmp_path / "on top"))), expected)
