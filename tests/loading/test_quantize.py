"""Checkpoints of plain numbers that are quantized while they are loaded, and their adapters.

The tests that load one are skipped where bitsandbytes is not installed (`equipoise[quantized]`).
"""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import training_rows
from contrast_items import SUPPLY, quick
from tiny_adapters import adapter_for, logits, weights
from tiny_folder import save_tiny

from equipoise import cli
from equipoise.edits.edit import fingerprint
from equipoise.edits.registry import load_edit
from equipoise.errors import ModelError
from equipoise.loading.load import load
from equipoise.loading.merge import merge
from equipoise.measurement_notes import _note_quantization
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.bias_unlearn import BiasUnlearn
from equipoise.mitigate.dpo import Dpo
from equipoise.mitigate.finetune import Finetune
from equipoise.mitigate.lftf import Lftf
from equipoise.mitigate.sft import Sft
from equipoise.models.quantization import check_quantize, quantization_config
from equipoise.records import Continuation, Supply
from equipoise.testing import tiny_model
from equipoise.training.text_training import TextTraining

needs_bitsandbytes = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="pip install 'equipoise[quantized]'"
)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    quick(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(save_tiny(tmp_path / "tiny"))


def test_an_unknown_quantization_is_refused_with_the_nearest(folder: str) -> None:
    with pytest.raises(ModelError, match="got 'nf5'; did you mean 'nf4'"):
        load(folder, quantize="nf5")
    for known in ("auto", "none", "nf4", "int8"):
        check_quantize(known)


def test_what_is_no_checkpoint_of_plain_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="planted:default is a planted model; leave quantize out"):
        load("planted:default", quantize="nf4")
    model = tiny_model("llama")
    model.module.config.quantization_config = {"quant_method": "gptq", "bits": 4}
    model.module.config.save_pretrained(tmp_path / "packed")
    (tmp_path / "packed" / "model.safetensors").write_bytes(b"")
    for choice in ("nf4", "none"):
        with pytest.raises(ModelError, match=rf"kept quantized \(gptq\), got '{choice}'"):
            load(str(tmp_path / "packed"), quantize=choice)


def test_4_bit_is_that_of_qlora_and_8_bit_has_no_outliers() -> None:
    nf4 = quantization_config("nf4", torch.bfloat16)
    assert (nf4.load_in_4bit, nf4.bnb_4bit_quant_type, nf4.bnb_4bit_use_double_quant) == (
        True, "nf4", True,
    )  # fmt: skip
    assert nf4.bnb_4bit_compute_dtype == torch.bfloat16
    int8 = quantization_config("int8", torch.bfloat16)
    assert (int8.load_in_8bit, int8.load_in_4bit, int8.llm_int8_threshold) == (True, False, 0.0)


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="it is installed")
def test_the_package_that_is_missing_is_named(folder: str) -> None:
    with pytest.raises(ModelError, match=r"needs a package: .*bitsandbytes.*equipoise\[quantized"):
        load(folder, quantize="nf4")


# --- with bitsandbytes ------------------------------------------------------------------------


@needs_bitsandbytes
@pytest.mark.thorough
@pytest.mark.parametrize(("quantize", "bits"), [("nf4", 4), ("int8", 8)])
def test_its_scores_are_those_of_a_plain_forward_and_reading_changes_nothing(
    folder: str, quantize: str, bits: int
) -> None:
    model = load(folder, quantize=quantize)
    names = [name for name, _ in model.module.named_parameters()]
    before = fingerprint(model.module, names)
    assert model.info["dtype"] == f"bitsandbytes {bits}-bit"
    assert model.info["quantize"] == quantize
    assert model.identity == load(folder).identity
    ids = [model.tokenizer.bos_token_id, *model.tokenizer.encode("the nurse she")]
    with torch.no_grad():
        logprobs = model.module(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    expected = sum(float(logprobs[i - 1, ids[i]]) for i in range(1, len(ids)))
    scored = model.score([Continuation(context="", continuation="the nurse she")])[0].logprob
    # int8 products round what they read, by row
    assert scored == pytest.approx(expected, abs=1e-5 if quantize == "nf4" else 1e-3)
    assert fingerprint(model.module, names) == before


@needs_bitsandbytes
@pytest.mark.thorough
@pytest.mark.parametrize("quantize", ["nf4", "int8"])
@pytest.mark.parametrize(
    ("method", "supply"),
    [
        (BiasUnlearn(steps=2), SUPPLY),
        (Dpo(steps=2), SUPPLY),
        (Sft(steps=2), SUPPLY),
        (Finetune(training=TextTraining(**training_rows.QUICK)), training_rows.SUPPLY),
    ],
    ids=["bias_unlearn", "dpo", "sft", "finetune"],
)
def test_lora_methods_train_on_it(
    folder: str, tmp_path: Path, quantize: str, method: Mitigation, supply: Supply
) -> None:
    base = load(folder, quantize=quantize)
    before, plain = weights(base), logits(base)
    edit = method.fit(base, supply, seed=0)
    assert weights(base) == before
    edit.save(tmp_path / "edit")
    with edit.attached(base) as edited:
        expected = logits(edited)
    assert not torch.equal(expected, plain)
    assert torch.equal(logits(load(str(tmp_path / "edit"))), expected)


@needs_bitsandbytes
@pytest.mark.thorough
def test_an_adapter_goes_on_plain_weights_merges_there_and_says_what_it_learnt_on(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    BiasUnlearn(steps=2).fit(load(folder, quantize="nf4"), SUPPLY, seed=0).save(tmp_path / "edit")
    place = str(tmp_path / "edit")
    assert load_edit(tmp_path / "edit").info.base_quantize == "nf4"
    with pytest.raises(ModelError, match=r'load\(EDIT, quantize="none"\)\), and merge that'):
        merge(load(place), tmp_path / "not")
    plain = load(place, quantize="none")
    assert plain.info["dtype"] == "float32"
    assert list(_note_quantization(plain.info)) == [
        "quantization: bias_unlearn was learnt with quantize nf4 and is measured on float32 weights"
    ]
    assert not list(_note_quantization(load(place).info))
    assert cli.run(["merge", place, "--out", str(tmp_path / "merged")]) == 0
    assert "quantized to nf4 and is merged into those" in capsys.readouterr().err
    merged = logits(load(str(tmp_path / "merged")))
    assert torch.allclose(merged, logits(plain), atol=1e-5)


@needs_bitsandbytes
@pytest.mark.thorough
def test_another_checkpoint_is_refused_in_any_bits(folder: str, tmp_path: Path) -> None:
    tiny = load(folder)
    adapter = adapter_for(tiny)
    quantized = load(folder, quantize="nf4")
    with adapter.attached(quantized) as edited:
        assert edited.info["edits"][0]["quantize_when_learnt"] == "none"  # type: ignore[index, call-overload]
    with torch.no_grad():
        tiny.module.model.layers[0].self_attn.q_proj.weight[0, 0] += 1
    tiny.module.save_pretrained(tmp_path / "other")
    tiny.tokenizer.save_pretrained(tmp_path / "other")
    for quantize in ("nf4", "auto"):
        other = load(str(tmp_path / "other"), quantize=quantize)
        with pytest.raises(ModelError, match="whose weights differ"), adapter.attached(other):
            pass


@needs_bitsandbytes
@pytest.mark.thorough
def test_methods_that_change_weights_refuse_it_by_name(folder: str) -> None:
    with pytest.raises(ModelError, match=r"lftf changes weights themselves.*bitsandbytes 4-bit"):
        Lftf().fit(load(folder, quantize="nf4"), SUPPLY, seed=0)
