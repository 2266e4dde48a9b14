"""From a name to a model that scores as it did before it was saved, or to one clear sentence."""

import gc
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_adapters import INFO, logits
from transformers import (
    BertForSequenceClassification,
    BertModel,
    GPT2ForSequenceClassification,
    GPT2Model,
    LlamaForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from equipoise.edits.adapter import AdapterEdit, read_adapter, sits_on
from equipoise.edits.edit import EditInfo, fingerprint
from equipoise.edits.prompts import PromptEdit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, RecipeError, StoreError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.load import load
from equipoise.loading.pretrained import _check_in_memory
from equipoise.records import Continuation
from equipoise.testing import FAMILIES, MASKED_FAMILIES, tiny_model, tiny_tokenizer

NAME = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))


def saved(folder: Path, model: LanguageModel | None = None) -> Path:
    model = tiny_model() if model is None else model
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def record(model: LanguageModel, *, base_name: str, base_fingerprint: str) -> EditInfo:
    return replace(
        INFO,
        method="lftf",
        base=model.identity,
        base_fingerprint=base_fingerprint,
        base_name=base_name,
    )


def weight_edit(model: LanguageModel, base_name: str) -> WeightEdit:
    tensors = {NAME: model.module.get_parameter(NAME).detach() * 2}
    about = record(model, base_name=base_name, base_fingerprint=fingerprint(model.module, tensors))
    return WeightEdit(info=about, tensors=tensors)


def write_adapter(folder: Path, base_name: str | None) -> Path:
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    model = tiny_model()
    with torch.random.fork_rng():
        peft.inject_adapter_in_model(config, model.module)
    tensors = {
        f"base_model.model.{name}": values
        for name, values in peft.get_peft_model_state_dict(
            model.module, save_embedding_layers=False
        ).items()
    }
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    about = {
        "peft_type": "LORA",
        "r": 2,
        "target_modules": ["q_proj"],
        "base_model_name_or_path": base_name,
    }
    (folder / "adapter_config.json").write_text(json.dumps(about))
    return folder


# --- models -----------------------------------------------------------------------------------


#: Of their kin nothing is read otherwise.
KIN = ("mistral", "qwen2", "gemma", "gemma2")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "family",
    [pytest.param(family, marks=pytest.mark.slow if family in KIN else ()) for family in FAMILIES],
)
def test_saved_and_loaded_every_family_scores_the_same(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    again = load(str(saved(tmp_path / family, model)))
    assert torch.equal(logits(again), logits(model))
    assert again.kind == ("masked" if family in MASKED_FAMILIES else "causal")
    request = [Continuation(context="the nurse said that", continuation=" she")]
    assert again.score(request) == model.score(request)
    assert again.identity == f"{family}@{str(again.source['fingerprint'])[:8]}"
    assert not again.module.training


@pytest.mark.thorough
def test_the_real_model_loads_in_float32_as_its_own_commit(reference_model: Path) -> None:
    model = load(str(reference_model))
    assert model.identity.startswith("reference-12m@")
    assert (model.kind, model.source["dtype"]) == ("causal", "float32")
    assert (model.info["start"], model.info["pad"]) == ("bos", "own")
    assert model.module.num_parameters() == 12_496_960
    (scored,) = model.score([Continuation(context="", continuation="The cat sat on the mat.")])
    assert -6 < scored.mean < -2


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("auto", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_dtype_overrides_the_checkpoint(dtype: str, expected: torch.dtype, tmp_path: Path) -> None:
    model = tiny_model()
    model.module.to(torch.bfloat16)
    again = load(str(saved(tmp_path / "m", model)), dtype=dtype, device="cpu")
    assert {parameter.dtype for parameter in again.module.parameters()} == {expected}
    assert again.source["dtype"] == str(expected).removeprefix("torch.")


@pytest.mark.parametrize(
    ("dtype", "device", "message"),
    [
        ("float16", "cpu", "got 'float16', which is about 15 times slower"),
        ("float23", "cpu", "dtype 'float23' is not known; did you mean 'float32'"),
        ("auto", "gpu", "device 'gpu' is not there; "),
    ],
)
def test_invalid_dtypes_and_devices(dtype: str, device: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        load(str(tmp_path), dtype=dtype, device=device)


@pytest.mark.thorough
def test_a_split_model_scores_the_same_and_has_all_weights_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "tiny")
    split, whole = load(folder, device="split"), load(folder, device="cpu")
    ids = torch.arange(5)[None].to(split.module.device)
    torch.testing.assert_close(split.module(ids).logits.cpu(), whole.module(ids.cpu()).logits)
    split.module.lm_head.to("meta")
    with pytest.raises(ModelError, match="1 weights do not, the first is 'lm_head"):
        _check_in_memory("tiny", split.module)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match="a model on device 'split', which takes all GPUs"):
        load(folder, device="split")


def test_missing_weights_are_never_random(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1, first 'lm_head\.weight', which would be ran"):
        load(str(folder))
    weights["lm_head.weight"] = torch.zeros(259, 31)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="must load with transformers, got: "):
        load(str(folder))


@pytest.mark.parametrize(
    ("family", "head"),
    [
        ("bert", BertForSequenceClassification),
        ("gpt2", GPT2ForSequenceClassification),  # has every weight of the language model: tied
        ("llama", LlamaForTokenClassification),
    ],
)
def test_a_classifier_is_no_language_model(
    family: str, head: type[PreTrainedModel], tmp_path: Path
) -> None:
    model = tiny_model(family)
    saved(tmp_path / "m", model)
    head(model.module.config).save_pretrained(tmp_path / "m")
    with pytest.raises(ModelError, match=f"it was saved as {head.__name__}"):
        load(str(tmp_path / "m"))


@pytest.mark.thorough
def test_a_body_without_its_head_is_refused(tmp_path: Path) -> None:
    model = tiny_model("bert")
    saved(tmp_path / "m", model)
    BertModel(model.module.config).save_pretrained(tmp_path / "m")
    with pytest.raises(ModelError, match=r"of BertForMaskedLM, it lacks .* 'cls\."):
        load(str(tmp_path / "m"))


@pytest.mark.thorough
def test_a_body_whose_head_is_its_embeddings_is_whole(tmp_path: Path) -> None:
    model = tiny_model("gpt2")
    saved(tmp_path / "m", model)
    body = GPT2Model(model.module.config)
    body.load_state_dict(model.module.transformer.state_dict())
    body.save_pretrained(tmp_path / "m")
    assert torch.equal(logits(load(str(tmp_path / "m"))), logits(model))


def test_other_kinds_of_model_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m")
    config = {"model_type": "bart", "is_encoder_decoder": True}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"it is an encoder-decoder \(bart\)"):
        load(str(folder))
    (folder / "config.json").write_text('{"model_type": "vit", "architectures": ["ViTModel"]}')
    with pytest.raises(ModelError, match=r"says \['ViTModel'\] of type 'vit'"):
        load(str(folder))


@pytest.mark.thorough
def test_without_an_architecture_the_type_decides(tmp_path: Path) -> None:
    for family, kind in (("bert", "masked"), ("opt", "causal")):
        folder = saved(tmp_path / family, tiny_model(family))
        config = json.loads((folder / "config.json").read_text())
        del config["architectures"]
        (folder / "config.json").write_text(json.dumps(config))
        assert load(str(folder)).kind == kind


# --- tokenizers -------------------------------------------------------------------------------


@pytest.mark.thorough
def test_without_a_pad_token_eos_serves_and_it_is_recorded(tmp_path: Path) -> None:
    for bos, pad in (("bos", "eos"), ("none", "none")):
        tokenizer = tiny_tokenizer(bos=bos, pad=False)  # type: ignore[arg-type]
        model = replace(tiny_model(), tokenizer=tokenizer)
        again = load(str(saved(tmp_path / bos, model)))
        assert again.source["pad"] == pad
        assert again.tokenizer.pad_token_id == again.tokenizer.eos_token_id
        texts = [Continuation(context="the", continuation=word) for word in (" nurse", " a")]
        assert all(score.tokens for score in again.score(texts))


def test_a_pad_token_beyond_the_embeddings_is_left_aside(tmp_path: Path) -> None:
    model = tiny_model()
    model.tokenizer.add_special_tokens({"pad_token": "<late>"})
    assert model.tokenizer.pad_token_id == 259
    again = load(str(saved(tmp_path / "m", model)))
    assert (again.source["pad"], again.tokenizer.pad_token) == ("eos", "<eos>")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("bos", "start", "adds"),
    [("bos", "bos", False), ("added", "bos", True), ("eos", "eos", False), ("none", "none", False)],
)
def test_the_start_token_is_recorded(bos: str, start: str, adds: bool, tmp_path: Path) -> None:
    folder = saved(tmp_path / bos, tiny_model(bos=bos))  # type: ignore[arg-type]
    again = load(str(folder))
    assert (again.info["start"], again.info["tokenizer_adds_start"]) == (start, adds)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    model = replace(tiny_model(), tokenizer=tiny_tokenizer("masked"))  # two tokens more
    with pytest.raises(ModelError, match=r"at most the model's 259 tokens, .* has number 259"):
        load(str(saved(tmp_path / "m", model)))


@pytest.mark.parametrize(
    "change",
    [
        lambda tokenizer: tokenizer.add_tokens([" nurse"]),
        lambda tokenizer: tokenizer.add_special_tokens({"bos_token": "<late>"}),
        lambda tokenizer: tokenizer.add_special_tokens({"eos_token": "<late>"}),
    ],
)
def test_a_token_that_would_be_fed_without_a_row_is_named(
    change: Callable[[PreTrainedTokenizerBase], object], tmp_path: Path
) -> None:
    model = tiny_model()
    change(model.tokenizer)
    with pytest.raises(ModelError, match=r"259 tokens, '( nurse|<late>)' has number 259"):
        load(str(saved(tmp_path / "m", model)))


@pytest.mark.thorough
def test_a_masked_model_needs_a_mask_and_a_tokenizer_must_load(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", replace(tiny_model("bert"), tokenizer=tiny_tokenizer()))
    with pytest.raises(ModelError, match="must have a mask token, it has none"):
        load(str(folder))
    for text in ('{"version"', "[]", '"words"', '{"model": []}'):
        (folder / "tokenizer.json").write_text(text)
        with pytest.raises(ModelError, match=r"the tokenizer of .* must load, got: "):
            load(str(folder))


# --- names of other kinds ---------------------------------------------------------------------


def test_a_planted_model_is_opened_at_any_depth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def planted(name: str, **_: str) -> LanguageModel:
        names.append(name)
        return tiny_model()

    monkeypatch.setattr("equipoise.loading.load.load_planted", planted)
    assert load("planted:default", batch_tokens=9).batch_tokens == 9
    weight_edit(tiny_model(), "planted:strength=1").save(tmp_path / "fair")
    edited = load(str(tmp_path / "fair"))
    assert names == ["planted:default", "planted:strength=1"]
    assert edited.identity.startswith("tiny-llama@0+lftf:")
    with pytest.raises(ModelError, match="did you mean 'planted'"):
        load("plant:default")


# --- adapters and edits -----------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("names_base", [False, True])
def test_an_adapter_folder_knows_its_base_or_is_given_one(names_base: bool, tmp_path: Path) -> None:
    folder = saved(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", None if names_base else str(folder))
    model = load(str(adapter), base=str(folder) if names_base else None)
    plain = load(str(folder))
    gc.collect()  # nothing that still hangs on undoes it
    with read_adapter(adapter).attached(plain) as expected:
        assert torch.equal(logits(model), logits(expected))
        assert model.identity == expected.identity
    assert not torch.allclose(logits(model), logits(plain))
    assert model.load_name == str(adapter)


def test_adapter_with_a_missing_base_is_an_error(tmp_path: Path) -> None:
    nowhere = write_adapter(tmp_path / "nowhere", None)
    with pytest.raises(ModelError, match=r"must say what it was learnt on.* give its base"):
        load(str(nowhere))
    gone = write_adapter(tmp_path / "gone", str(tmp_path / "base"))
    with pytest.raises(ModelError, match=r"the base of .*gone cannot be loaded: .* base="):
        load(str(gone))
    itself = write_adapter(tmp_path / "itself", str(tmp_path / "itself"))
    with pytest.raises(ModelError, match=r"itself names itself as its base; .*\(base="):
        load(str(itself))


@pytest.mark.thorough
def test_an_adapter_for_another_base_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "other", tiny_model(width=64))
    with pytest.raises(ModelError, match="base it was made for"):
        load(str(write_adapter(tmp_path / "adapter", None)), base=str(folder))


@pytest.mark.thorough
def test_saved_edit_loads_as_an_edited_model(tmp_path: Path) -> None:
    folder = saved(tmp_path / "base")
    base = load(str(folder))
    edit = weight_edit(base, base.load_name)
    edit.save(tmp_path / "fair")
    model = load(str(tmp_path / "fair"))
    gc.collect()  # nothing that still hangs on undoes it
    with edit.attached(base) as expected:
        assert torch.equal(logits(model), logits(expected))
        assert model.identity == expected.identity
    assert not torch.equal(logits(model), logits(base))
    assert model.trained_on == {"ab"}
    assert model.source["name"] == str(tmp_path / "fair")
    assert model.module.get_parameter(NAME).data_ptr() != edit.tensors[NAME].data_ptr()


@pytest.mark.thorough
def test_edits_on_edits_are_loaded_through_one_another(tmp_path: Path) -> None:
    saved(tmp_path / "base")
    base = load(str(tmp_path / "base"))
    weight_edit(base, base.load_name).save(tmp_path / "once")
    once = load(str(tmp_path / "once"))
    weight_edit(once, once.load_name).save(tmp_path / "twice")
    twice = load(str(tmp_path / "twice"))
    assert twice.identity.count("+lftf:") == 2
    expected = base.module.get_parameter(NAME) * 4
    assert torch.equal(twice.module.get_parameter(NAME), expected)


@pytest.mark.thorough
def test_a_prompt_edit_and_an_adapter_edit_load_too(tmp_path: Path) -> None:
    folder = saved(tmp_path / "base")
    base = load(str(folder))
    about = record(base, base_name=str(folder), base_fingerprint="")
    PromptEdit(info=about, prompts=("Be fair. ", "Be kind. ")).save(tmp_path / "prompts")
    assert load(str(tmp_path / "prompts")).prompts == ("Be fair. ", "Be kind. ")
    theirs = read_adapter(write_adapter(tmp_path / "adapter", None))
    stamp = fingerprint(base.module, sits_on(base, theirs.config))
    ours = AdapterEdit(
        info=replace(about, base_fingerprint=stamp), config=theirs.config, tensors=theirs.tensors
    )
    ours.save(tmp_path / "ours")
    with ours.attached(base) as expected:
        assert torch.equal(logits(load(str(tmp_path / "ours"))), logits(expected))
    other = saved(tmp_path / "other", tiny_model(seed=1))
    with pytest.raises(ModelError, match=r"learnt on, base@.*, got other@"):
        load(str(tmp_path / "ours"), base=str(other))


@pytest.mark.thorough
def test_the_base_of_an_edit_can_be_given_and_is_checked(tmp_path: Path) -> None:
    base, other = tiny_model(), tiny_model(seed=1)
    weight_edit(base, "").save(tmp_path / "fair")
    model = load(str(tmp_path / "fair"), base=tiny_model())
    assert model.identity.startswith("tiny-llama@0+lftf:")
    assert load(str(tmp_path / "fair"), base=str(saved(tmp_path / "base"))).kind == "causal"
    with pytest.raises(ModelError, match="tiny-llama@0, got tiny-llama@1"):
        load(str(tmp_path / "fair"), base=other)
    assert torch.equal(logits(other), logits(tiny_model(seed=1)))


def test_edit_without_a_base_folder_loads_its_base_by_name(tmp_path: Path) -> None:
    weight_edit(tiny_model(), "").save(tmp_path / "fair")
    with pytest.raises(ModelError, match=r"base of .*fair cannot be loaded: 'tiny-llama' must be"):
        load(str(tmp_path / "fair"))


def test_base_of_a_plain_model_and_truncated_edit_are_errors(tmp_path: Path) -> None:
    folder = saved(tmp_path / "base")
    with pytest.raises(ModelError, match="base is a model; leave it out"):
        load(str(folder), base="gpt2")
    weight_edit(tiny_model(), str(folder)).save(tmp_path / "fair")
    path = tmp_path / "fair" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(StoreError, match=r"weights\.safetensors .* cut short"):
        load(str(tmp_path / "fair"))


def test_an_attached_edit_cannot_be_loaded_by_name() -> None:
    model = tiny_model()
    with weight_edit(model, "").attached(model) as edited:
        assert edited.load_name == ""


def test_the_context_of_a_loaded_model_is_a_limit_that_names_the_request(tmp_path: Path) -> None:
    model = load(str(saved(tmp_path / "m", tiny_model(context=16))))
    with pytest.raises(ModelError, match=r"request 1 .* must fit .* 16 tokens, got 21"):
        model.score(
            [
                Continuation(context="short", continuation=" text"),
                Continuation(context="x" * 11, continuation="y" * 10),
            ]
        )


def test_a_name_may_be_a_path_and_nothing_else(tmp_path: Path) -> None:
    model = load(saved(tmp_path / "model"))
    assert model.identity.startswith("model@")
    with pytest.raises(ModelError, match="name must be a text, got LanguageModel; "):
        load(model)  # type: ignore[arg-type]
