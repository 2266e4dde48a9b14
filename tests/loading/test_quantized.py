"""Quantized checkpoints: recorded as what they are, scored as plainly, trained by adapters alone.

The tests with real libraries are skipped where these are not installed (`equipoise[quantized]`).
"""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from contrast_items import SUPPLY
from tiny_adapters import adapter_for, logits, weights
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from equipoise.edits.registry import load_edit
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.in_memory import wrap
from equipoise.loading.load import load
from equipoise.loading.merge import merge
from equipoise.mitigate.bias_edit import BiasEdit
from equipoise.mitigate.bias_unlearn import BiasUnlearn
from equipoise.mitigate.dama import Dama
from equipoise.mitigate.full_finetune import FullFinetune
from equipoise.mitigate.lftf import Lftf
from equipoise.mitigate.mend import Mend
from equipoise.mitigate.transfer import Transfer
from equipoise.models.quantization import (
    check_arithmetic,
    count_parameters,
    number_format,
    read_quantization,
)
from equipoise.records import JSON, Continuation
from equipoise.testing import tiny_model

REQUESTS = [
    Continuation(context="the nurse said that", continuation=" she"),
    Continuation(context="the nurse said that", continuation=" he was there"),
    Continuation(context="", continuation="a longer text stands alone"),
]
STATED: dict[str, dict[str, JSON]] = {
    "bitsandbytes 4-bit": {
        "quant_method": "bitsandbytes",
        "load_in_4bit": True,
        "load_in_8bit": False,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_compute_dtype": "bfloat16",
    },
    "bitsandbytes 8-bit": {
        "quant_method": "bitsandbytes",
        "load_in_8bit": True,
        "llm_int8_threshold": 6.0,
    },
    "gptq 3-bit": {"quant_method": "gptq", "bits": 3, "group_size": 128},
    "compressed-tensors 4-bit": {
        "quant_method": "compressed-tensors",
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4}}},
    },
    "torchao 8-bit": {
        "quant_method": "torchao",
        "quant_type": {"default": {"_type": "Int8WeightOnlyConfig", "_data": {}}},
    },
    "hqq 2-bit": {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 2}}},
    "something ?-bit": {"quant_method": "something"},
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))


def stating(about: dict[str, JSON]) -> LanguageModel:
    """A model whose configuration says that it is quantized."""
    model = tiny_model("llama")
    model.module.config.quantization_config = about
    return model


@pytest.mark.parametrize("name", STATED)
def test_method_and_bits_are_read_from_what_libraries_write(name: str) -> None:
    model = stating(STATED[name])
    assert number_format(model.module) == name
    assert model.info["dtype"] == name
    assert model.info["parameters"] == tiny_model("llama").module.num_parameters()
    about = model.info["quantization"]
    assert isinstance(about, dict)
    assert about["method"] == STATED[name]["quant_method"]


def test_plain_weights_are_called_by_their_dtype() -> None:
    model = tiny_model("gpt2")
    assert read_quantization(model.module) is None
    assert number_format(model.module) == "float32"
    assert count_parameters(model.module) == model.module.num_parameters()
    assert "quantization" not in model.info


@pytest.mark.parametrize("method", [Lftf(), FullFinetune(), BiasEdit(), Mend(), Dama()])
def test_methods_that_change_weights_refuse_before_any_work(
    method: Lftf | FullFinetune | BiasEdit | Mend | Dama,
) -> None:
    model = stating(STATED["bitsandbytes 4-bit"])
    with pytest.raises(ModelError, match=r"\(bitsandbytes 4-bit\) and take no gradients"):
        method.fit(model, SUPPLY, seed=0)


@pytest.mark.thorough
def test_a_quantized_base_is_not_merged_into(tmp_path: Path) -> None:
    plain = tiny_model("llama")
    with (
        adapter_for(plain).attached(stating(STATED["gptq 3-bit"])) as edited,
        pytest.raises(ModelError, match="are gptq 3-bit and would be rounded again"),
    ):
        merge(edited, tmp_path / "m")


def test_8_bit_products_that_depend_on_company_are_refused() -> None:
    about = STATED["bitsandbytes 8-bit"]
    with pytest.raises(ModelError, match=r"llm_int8_threshold: 6\.0"):
        check_arithmetic(stating(about).module)
    check_arithmetic(stating({**about, "llm_int8_threshold": 0.0}).module)


@pytest.mark.skipif(find_spec("compressed_tensors") is not None, reason="it is installed")
def test_the_package_that_is_missing_is_named(tmp_path: Path) -> None:
    model = tiny_model("llama")
    model.module.save_pretrained(tmp_path / "m")
    model.tokenizer.save_pretrained(tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["quantization_config"] = STATED["compressed-tensors 4-bit"]
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"is quantized, .*pip install compressed-tensors.*quanti"):
        load(str(tmp_path / "m"))


# --- with bitsandbytes ------------------------------------------------------------------------

needs_bitsandbytes = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="pip install 'equipoise[quantized]'"
)


@pytest.fixture
def four_bit(tmp_path: Path) -> LanguageModel:
    model = tiny_model("llama", width=64)
    model.module.save_pretrained(tmp_path / "base")
    model.tokenizer.save_pretrained(tmp_path / "base")
    how = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
    )
    packed = AutoModelForCausalLM.from_pretrained(
        tmp_path / "base", quantization_config=how, device_map="cpu"
    )
    packed.save_pretrained(tmp_path / "nf4")
    model.tokenizer.save_pretrained(tmp_path / "nf4")
    return load(str(tmp_path / "nf4"))


@needs_bitsandbytes
@pytest.mark.filterwarnings("ignore")
def test_4_bit_scores_are_those_of_a_plain_forward(four_bit: LanguageModel) -> None:
    assert four_bit.info["dtype"] == "bitsandbytes 4-bit"
    assert four_bit.info["quantization"] == {
        "method": "bitsandbytes", "bits": 4, "type": "nf4", "compute_dtype": "float32",
    }  # fmt: skip
    assert four_bit.info["parameters"] == tiny_model("llama", width=64).module.num_parameters()
    tokenizer = four_bit.tokenizer
    for request, scored in zip(REQUESTS, four_bit.score(REQUESTS), strict=True):
        start = [tokenizer.bos_token_id, *tokenizer.encode(request.context)]
        ids = [tokenizer.bos_token_id, *tokenizer.encode(request.context + request.continuation)]
        with torch.no_grad():
            logprobs = four_bit.module(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        expected = sum(float(logprobs[i - 1, ids[i]]) for i in range(len(start), len(ids)))
        assert scored.logprob == pytest.approx(expected, abs=1e-5)


@needs_bitsandbytes
@pytest.mark.filterwarnings("ignore")
def test_an_adapter_is_trained_on_4_bit_and_merged_on_the_original(
    four_bit: LanguageModel, tmp_path: Path
) -> None:
    before, plain = weights(four_bit), logits(four_bit)
    edit = BiasUnlearn(steps=2).fit(four_bit, SUPPLY, seed=0)
    assert weights(four_bit) == before
    edit.save(tmp_path / "edit")
    with edit.attached(four_bit) as edited:
        expected = logits(edited)
        assert not torch.equal(expected, plain)
    again = load(str(tmp_path / "edit"))
    assert torch.equal(logits(again), expected)
    with pytest.raises(ModelError, match=r"equipoise mitigate MODEL transfer\), and merge that"):
        merge(again, tmp_path / "m")
    original = load(str(tmp_path / "base"))
    moved = Transfer(edit=str(tmp_path / "edit")).fit(original, SUPPLY, seed=0)
    with moved.attached(original) as edited:
        merge(edited, tmp_path / "m")
    assert load_edit(tmp_path / "edit").content == edit.content
    assert (tmp_path / "m" / "model.safetensors").is_file()


class Packed(nn.Module):
    """A layer as GPTQ keeps it: weights in 8 bits are a buffer, beside a scale per row."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        scale = layer.weight.detach().abs().amax(dim=1, keepdim=True) / 127
        self.register_buffer("qweight", (layer.weight.detach() / scale).round().to(torch.int8))
        self.register_buffer("scales", scale)

    def forward(self, hidden: Tensor) -> Tensor:
        qweight, scales = self.get_buffer("qweight"), self.get_buffer("scales")
        return functional.linear(hidden, qweight * scales)


@pytest.mark.thorough
def test_a_model_in_memory_with_packed_weights_is_measured_and_known_by_them() -> None:
    tiny = tiny_model()
    before = wrap(tiny.module, tiny.tokenizer)
    plain = [each.logprob for each in before.score(REQUESTS)]
    attention = tiny.module.model.layers[0].self_attn
    attention.q_proj = Packed(attention.q_proj)
    tiny.module.config.quantization_config = {"quant_method": "gptq", "bits": 8}
    packed = wrap(tiny.module, tiny.tokenizer)
    assert packed.info["dtype"] == "gptq 8-bit"
    read = [each.logprob for each in packed.score(REQUESTS)]
    assert read == pytest.approx(plain, abs=0.05)
    assert read != plain
    attention.q_proj.qweight[0, 0] += 1
    assert len({each.identity for each in (before, packed, wrap(tiny.module, tiny.tokenizer))}) == 3
    with pytest.raises(ModelError, match="are quantized"):
        FullFinetune().fit(packed, SUPPLY, seed=0)
