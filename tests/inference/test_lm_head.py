"""The output layer gives the logits of the module itself, whatever its family does to them."""

from typing import Any

import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    MptConfig,
    MptForCausalLM,
    PreTrainedModel,
)

from equipoise.inference.forward import probe_layout
from equipoise.inference.lm_head import OutputLayer, output_layer
from equipoise.testing import CAUSAL_FAMILIES, tiny_model

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


def layer_of(module: PreTrainedModel) -> OutputLayer | None:
    return output_layer(module.eval(), probe_layout(module))


def assert_gives_the_logits(module: PreTrainedModel, layer: OutputLayer) -> None:
    """On a text it was not tried on."""
    ids = torch.tensor([[9, 4, 4, 1, 8, 3]])
    hidden: list[Any] = []
    hook = layer.linear.register_forward_pre_hook(lambda _, inputs: hidden.append(inputs[0]))
    with torch.no_grad():
        logits = module(input_ids=ids).logits
        hook.remove()
        torch.testing.assert_close(layer.logits(hidden[0][0]), logits[0])


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_every_family_has_an_output_layer(family: str) -> None:
    module = tiny_model(family).module
    layer = layer_of(module)
    assert layer is not None
    assert layer.linear is module.get_output_embeddings()
    assert layer.scale == layer.divisor == 1
    assert (layer.cap is None) == (family != "gemma2")
    assert_gives_the_logits(module, layer)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("module", "factor"),
    [
        (CohereForCausalLM(CohereConfig(**SIZES, logit_scale=0.3)), 0.3),
        (GraniteForCausalLM(GraniteConfig(**SIZES, logits_scaling=6.0)), 1 / 6),
    ],
    ids=["cohere", "granite"],
)
def test_scaled_logits_are_supported(
    module: PreTrainedModel, factor: float, dtype: torch.dtype
) -> None:
    module = module.to(dtype)
    layer = layer_of(module)
    assert layer is not None
    assert layer.scale / layer.divisor == pytest.approx(factor)
    assert_gives_the_logits(module, layer)


@pytest.mark.parametrize("scale", [0.5, "inv_sqrt_d_model", None])
def test_a_scale_that_the_module_does_not_use_is_left_out(scale: float | str | None) -> None:
    """MPT's configuration has one, which its code never reads."""
    module = MptForCausalLM(
        MptConfig(d_model=16, n_heads=2, n_layers=1, vocab_size=50, logit_scale=scale)
    )
    layer = layer_of(module)
    assert layer is not None
    assert layer.scale == 1
    assert_gives_the_logits(module, layer)


def test_a_module_that_changes_its_logits_otherwise_has_no_output_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = tiny_model("llama").module
    layout, plain = probe_layout(module), module.forward

    def scaled(**inputs: Any) -> Any:
        output = plain(**inputs)
        output.logits = output.logits * 0.99
        return output

    assert output_layer(module, layout) is not None
    monkeypatch.setattr(module, "forward", scaled)
    assert output_layer(module, layout) is None
