"""LoRA: which layers take it, what it starts as, and that it leaves nothing behind."""

import pytest
import torch
from contrast_items import weights
from tiny_adapters import wanted_tensors

from equipoise.errors import ModelError
from equipoise.testing import tiny_model
from equipoise.training.lora import (
    adapter_dropout,
    adapter_tensors,
    lora_config,
    lora_in_training,
)

IDS = torch.tensor([[3, 70, 80, 90]])


def config_of(family: str, *targets: str) -> dict[str, object]:
    module = tiny_model(family).module
    return lora_config(module, rank=2, alpha=4.0, dropout=0.5, targets=targets or ("auto",))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("gpt2", {"attn.c_attn", "attn.c_proj"}),
        ("llama", {"q_proj", "k_proj", "v_proj", "o_proj"}),
        ("mistral", {"q_proj", "k_proj", "v_proj", "o_proj"}),
        ("qwen2", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
        ("gpt_neox", {"query_key_value", "dense"}),
        ("opt", {"q_proj", "k_proj", "v_proj", "out_proj"}),
        ("gemma2", {"q_proj", "k_proj", "v_proj", "o_proj"}),
    ],
)
def test_target_modules_of_each_architecture(family: str, expected: set[str]) -> None:
    config = config_of(family)
    assert set(config["target_modules"]) == expected  # type: ignore[call-overload]
    assert config["fan_in_fan_out"] == (family == "gpt2")


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2", "gpt_neox", "gemma3"])
def test_attention_alone_or_every_block_but_never_the_head(family: str) -> None:
    model = tiny_model(family)
    auto, every = (
        set(wanted_tensors(model, config_of(family, which))) for which in ("auto", "all-linear")
    )
    assert auto <= every
    assert len(every) >= 2 * 2 * 4  # blocks, factors, layers
    assert not any("lm_head" in name or "embed" in name for name in every)
    if not family.startswith("qwen"):
        assert all("attn" in name or "attention" in name for name in auto)


@pytest.mark.parametrize(
    ("target", "shown"),
    [("c_attn", "c_attn"), ("proj", "'proj'"), ("lm_head", "not its output layer"), ("norm", "")],
)
def test_a_target_that_is_no_such_layer_is_named(target: str, shown: str) -> None:
    with pytest.raises(ModelError, match=f"LoRA's target '{target}' must end") as error:
        config_of("llama", "q_proj", target)
    assert shown in str(error.value)


@pytest.mark.parametrize("name", ["auto", "all-linear"])
def test_target_of_many_layers_stands_alone(name: str) -> None:
    with pytest.raises(ModelError, match=f"target '{name}' must stand alone, got .*q_proj"):
        config_of("llama", "q_proj", name)


@pytest.mark.thorough
def test_adapter_starts_as_identity_and_is_removed() -> None:
    model = tiny_model("llama")
    before = weights(model)
    plain = model.module(IDS).logits
    with lora_in_training(model, config_of("llama"), seed=3) as parameters:  # type: ignore[arg-type]
        assert torch.equal(model.module(IDS).logits, plain)
        assert len(parameters) == 2 * 2 * 4
        assert set(adapter_tensors(parameters)) == set(
            wanted_tensors(tiny_model("llama"), config_of("llama"))  # type: ignore[arg-type]
        )
        with torch.no_grad():
            for parameter in parameters.values():
                parameter.fill_(0.3)
        assert not torch.allclose(model.module(IDS).logits, plain)
    assert torch.equal(model.module(IDS).logits, plain)
    assert weights(model) == before


@pytest.mark.thorough
def test_the_seed_draws_one_factor_and_leaves_the_callers_generator() -> None:
    state = torch.get_rng_state()
    drawn = []
    for seed in (0, 0, 1):
        with lora_in_training(tiny_model("gpt2"), config_of("gpt2"), seed=seed) as parameters:  # type: ignore[arg-type]
            drawn.append({name: value.detach().clone() for name, value in parameters.items()})
    assert torch.equal(torch.get_rng_state(), state)
    for name in drawn[0]:
        assert torch.equal(drawn[0][name], drawn[1][name])
        assert torch.equal(drawn[0][name], drawn[2][name]) == (".lora_B." in name)
        assert bool(drawn[0][name].any()) == (".lora_A." in name)


def test_an_adapter_is_float32_on_a_base_in_half_precision() -> None:
    half = tiny_model("llama")
    half.module.to(torch.bfloat16)
    config = lora_config(half.module, rank=2, alpha=4.0, dropout=0.0)
    with lora_in_training(half, config, seed=0) as parameters:
        assert {parameter.dtype for parameter in parameters.values()} == {torch.float32}
    assert {parameter.dtype for parameter in half.module.parameters()} == {torch.bfloat16}


def test_the_adapters_dropout_alone_is_switched() -> None:
    model = tiny_model("llama")
    with lora_in_training(model, config_of("llama"), seed=0) as parameters:  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in parameters.values():
                parameter.fill_(0.3)
        model.module.eval()
        still = model.module(IDS).logits
        adapter_dropout(model.module, on=True)
        assert not model.module.training
        torch.manual_seed(0)
        assert not torch.equal(model.module(IDS).logits, still)
        adapter_dropout(model.module, on=False)
        assert torch.equal(model.module(IDS).logits, still)
