"""A GGUF is the model that it was made from: its logits, its tokens, and its limits."""

import importlib.util
import signal
import subprocess
import sys
import threading
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from tiny_adapters import logits
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from equipoise.errors import ModelError
from equipoise.loading import gguf as conversion
from equipoise.loading.checkpoint import find_checkpoint
from equipoise.loading.load import load
from equipoise.models import anatomy

gguf = pytest.importorskip("gguf", reason="needs the extra: pip install -e '.[gguf]'")

from tiny_gguf import FAMILIES, TEMPLATE, TEXTS, original, split_gguf, write_gguf  # noqa: E402

Pair = tuple[PreTrainedModel, PreTrainedTokenizerBase]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def llama() -> Pair:
    return original("llama")


def same_logits(module: PreTrainedModel, expected: PreTrainedModel) -> bool:
    ids = torch.arange(20).reshape(1, 20) + 4
    with torch.inference_mode():
        return torch.allclose(module(ids).logits, expected(ids).logits, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_predicts_and_cuts_texts_as_the_original(family: str, tmp_path: Path) -> None:
    module, tokenizer = original(family)
    model = load(str(write_gguf(tmp_path / f"{family}.F32.gguf", module, tokenizer)))
    assert same_logits(model.module, module)
    for text in TEXTS:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert model.tokenizer(text, add_special_tokens=False)["input_ids"] == ids, text
    assert model.tokenizer.model_max_length == model.context_length == 128
    assert model.tokenizer.bos_token == tokenizer.bos_token
    assert model.tokenizer.eos_token == tokenizer.eos_token
    assert model.info["tokenizer_adds_start"] is (family == "gemma3")
    assert model.tokenizer.chat_template == TEMPLATE
    assert model.module.config.tie_word_embeddings is module.config.tie_word_embeddings
    assert len(anatomy.blocks(model.module)) == module.config.num_hidden_layers
    assert model.identity.startswith(f"{family}.F32.gguf@")


@pytest.mark.parametrize("quantization", ["F16", "Q8_0", "Q4_0"])
def test_quantized_weights_are_those_that_gguf_dequantizes(
    quantization: str, tmp_path: Path, llama: Pair
) -> None:
    module, tokenizer = llama
    model = load(str(write_gguf(tmp_path / "m.gguf", module, tokenizer, quantization=quantization)))
    form = gguf.GGMLQuantizationType[quantization]
    name = "model.layers.1.mlp.down_proj.weight"
    weight = module.get_parameter(name).detach().numpy()
    expected = torch.tensor(gguf.dequantize(gguf.quantize(weight, form), form))
    assert torch.equal(model.module.get_parameter(name), expected.float())
    record = model.info["gguf"]
    assert isinstance(record, dict)
    assert record["quantization"] == quantization
    assert record["dequantized_to"] == model.info["dtype"] == "float32"
    assert set(record["versions"]) == {"transformers", "tokenizers", "gguf", "conversion"}


def test_a_converted_model_can_be_saved_and_trained(tmp_path: Path, llama: Pair) -> None:
    model = load(str(write_gguf(tmp_path / "m.gguf", *llama, quantization="Q8_0")))
    model.module.save_pretrained(tmp_path / "saved")
    model.tokenizer.save_pretrained(tmp_path / "saved")
    again = load(str(tmp_path / "saved"))
    assert "gguf" not in again.info
    assert torch.equal(logits(again), logits(model))
    model.module(torch.tensor([[4, 5, 6]])).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in model.module.parameters())


def raw_parts(file: Path, names: tuple[str, ...]) -> Path:
    content = file.read_bytes()
    size = len(content) // len(names) + 1
    for number, name in enumerate(names):
        part = content[number * size : (number + 1) * size]
        file.with_name(f"{file.name}{name}").write_bytes(part)
    file.unlink()
    return file.parent


@pytest.mark.parametrize(
    "names",
    [
        (".part00", ".part01", ".part02"),
        (".part1of3", ".part2of3", ".part3of3"),
        ("-split-a", "-split-b"),
        tuple(f".part{number}" for number in range(1, 12)),
    ],
)
def test_parts_of_bytes_are_joined(names: tuple[str, ...], tmp_path: Path, llama: Pair) -> None:
    folder = raw_parts(write_gguf(tmp_path / "m.gguf", *llama), names)
    model = load(str(folder))
    assert same_logits(model.module, llama[0])
    assert load(str(folder / f"m.gguf{names[-1]}")).identity == model.identity
    (folder / f"m.gguf{names[0]}").unlink()
    with pytest.raises(ModelError):
        load(str(folder))


def test_shards_are_joined(tmp_path: Path, llama: Pair) -> None:
    shards = split_gguf(write_gguf(tmp_path / "m.gguf", *llama, quantization="Q8_0"))
    (tmp_path / "whole").mkdir()
    whole = load(str(write_gguf(tmp_path / "whole" / "m.gguf", *llama, quantization="Q8_0")))
    model = load(str(tmp_path / shards[1].name))
    assert same_logits(model.module, whole.module)
    assert model.tokenizer.get_vocab() == whole.tokenizer.get_vocab()
    shards[0].unlink()
    with pytest.raises(ModelError, match="1 of 2"):
        load(str(tmp_path))


def test_a_folder_means_the_only_model_in_it(tmp_path: Path, llama: Pair) -> None:
    file = write_gguf(tmp_path / "m.Q8_0.gguf", *llama, quantization="Q8_0")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')  # of another program
    (tmp_path / "mmproj-m.gguf").write_bytes(b"GGUF")  # its picture tower
    assert load(str(tmp_path)).identity == load(str(file)).identity
    write_gguf(tmp_path / "m.F16.gguf", *llama, quantization="F16")
    with pytest.raises(ModelError, match=r"m\.F16\.gguf, m\.Q8_0\.gguf"):
        load(str(tmp_path))
    assert load(str(file)).identity.startswith("m.Q8_0.gguf@")
    # beside safetensors a GGUF is a copy in another program's format
    llama[0].save_pretrained(tmp_path)
    llama[1].save_pretrained(tmp_path)
    assert "gguf" not in load(str(tmp_path)).info


def test_it_is_named_by_its_content(tmp_path: Path, llama: Pair) -> None:
    file = write_gguf(tmp_path / "m.gguf", *llama)
    model = load(str(file))
    assert load(f"{file}@{model.identity.partition('@')[2]}").identity == model.identity
    assert load(model.load_name).identity == model.identity
    with pytest.raises(ModelError, match="fingerprint"):
        load(f"{file}@00000000")
    write_gguf(file, *original("qwen3"))
    assert load(str(file)).module.config.model_type == "qwen3"


def test_it_is_converted_once(tmp_path: Path, llama: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_gguf(tmp_path / "m.gguf", *llama)
    calls: list[Path] = []
    convert = conversion._convert

    def count(gguf: conversion.Gguf, folder: Path) -> dict[str, object]:
        calls.append(folder)
        return convert(gguf, folder)

    monkeypatch.setattr(conversion, "_convert", count)
    folders: list[Path] = []
    threads = [
        threading.Thread(
            target=lambda: folders.append(find_checkpoint(str(file), revision=None).folder)
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=100)
    assert len(set(folders)) == len(calls) == 1
    load(str(file))
    assert len(calls) == 1


def test_its_words_are_read_once(
    tmp_path: Path, llama: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not again by transformers for the settings, the weights and the tokenizer."""
    file = write_gguf(tmp_path / "m.gguf", *llama)
    reader, names = gguf.GGUFReader, []

    def read(path: Path) -> object:
        names.append(path.name)
        return reader(path)

    monkeypatch.setattr(gguf, "GGUFReader", read)
    load(str(file))
    assert names == ["model.gguf"]
    assert gguf.GGUFReader is read


def test_what_a_killed_process_left_is_removed(tmp_path: Path, llama: Pair) -> None:
    file = write_gguf(tmp_path / "m.gguf", *llama)
    folder = find_checkpoint(str(file), revision=None).folder
    unfinished = folder.with_name(f".{folder.name}.123.part")
    folder.rename(unfinished)
    (unfinished / conversion.RECORD).unlink()
    assert same_logits(load(str(file)).module, llama[0])
    assert not unfinished.exists()


@pytest.mark.slow
def test_a_kill_leaves_no_half_model(tmp_path: Path, llama: Pair) -> None:
    file = write_gguf(tmp_path / "m.gguf", *llama)
    script = (
        "import os, signal, sys\n"
        "from equipoise.loading import gguf\n"
        "gguf._check_size = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from equipoise.loading.load import load\n"
        "load(sys.argv[1])\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL
    left = [path.name for path in (tmp_path / "cache" / "gguf").iterdir()]
    assert any(name.endswith(".part") for name in left)
    assert same_logits(load(str(file)).module, llama[0])
    after = [path for path in (tmp_path / "cache" / "gguf").iterdir() if path.is_dir()]
    assert len(after) == 1


LINEAR = {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}


def test_rotations_are_those_of_the_file(tmp_path: Path, llama: Pair) -> None:
    plain = load(str(write_gguf(tmp_path / "plain.gguf", *llama)))
    slow = load(str(write_gguf(tmp_path / "linear.gguf", *llama, settings=LINEAR)))
    frequencies = slow.module.model.rotary_emb.inv_freq
    assert torch.allclose(frequencies * 4, plain.module.model.rotary_emb.inv_freq)
    assert slow.module.config.rope_parameters["factor"] == 4.0


def test_factors_of_llama_3_are_put_back(tmp_path: Path) -> None:
    """transformers passes over the tensor in which llama.cpp keeps them."""
    module, tokenizer = original("llama")
    config = deepcopy(module.config)
    config.rope_parameters = {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    long = type(module)(config).eval()
    long.load_state_dict(module.state_dict())
    frequencies = 500_000.0 ** -(torch.arange(0, config.head_dim, 2) / config.head_dim)
    factors = frequencies / long.model.rotary_emb.inv_freq
    assert factors.max() > 7.99 > 1.01 > factors.min()
    tensors = {"rope_freqs.weight": factors.float().numpy()}
    file = write_gguf(tmp_path / "m.gguf", long, tokenizer, tensors=tensors)
    assert same_logits(load(str(file)).module, long)
    tensors["rope_freqs.weight"][0] = 3  # no rule of Llama's gives this
    file = write_gguf(tmp_path / "other.gguf", long, tokenizer, tensors=tensors)
    with pytest.raises(ModelError, match="rotations"):
        load(str(file))


@pytest.mark.parametrize(
    ("settings", "tensor", "said"),
    [
        ({"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0}, None, "yarn"),
        ({"logit_scale": 0.5}, None, "logit_scale"),
        ({"attention.causal": False}, None, "encoder"),
        ({}, "blk.0.attn_q.bias", "numbers"),
        ({}, "rope_factors_long.weight", "longrope"),
    ],
)
def test_what_would_be_lost_is_refused(
    settings: dict[str, object], tensor: str | None, said: str, tmp_path: Path, llama: Pair
) -> None:
    tensors = {} if tensor is None else {tensor: torch.ones(32).numpy()}
    file = write_gguf(tmp_path / "m.gguf", *llama, settings=settings, tensors=tensors)
    with pytest.raises(ModelError, match=said):
        load(str(file))


@pytest.mark.parametrize("content", [b"GGUF" + bytes(100), b"", b"not a model"])
def test_a_damaged_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.Q4_K_M.gguf").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.Q4_K_M\.gguf must be a whole GGUF file"):
        load(str(tmp_path))
    assert not any(path.is_dir() for path in (tmp_path / "cache" / "gguf").iterdir())


def test_the_missing_extra_is_named(
    tmp_path: Path, llama: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_gguf(tmp_path / "m.gguf", *llama)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "gguf" else find(name)
    )
    with pytest.raises(ModelError, match=r"pip install 'equipoise\[gguf\]'"):
        load(str(file))
