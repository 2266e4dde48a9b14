"""What is found out about modules, and that the disobedient are not trusted."""

import pytest
import torch
from torch import Tensor, nn

from equipoise.inference import layout
from equipoise.inference.forward import Layout
from equipoise.inference.layout import probe_layout
from equipoise.models.context import attention_window, context_length
from equipoise.testing import CAUSAL_FAMILIES, tiny_model


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_the_supported_families_pack_and_gather(family: str) -> None:
    assert probe_layout(tiny_model(family).module) == Layout(pack=True, gather=True)


def test_eager_attention_packs_too() -> None:
    module = tiny_model("llama").module
    module.set_attn_implementation("eager")
    assert probe_layout(module) == Layout(pack=True, gather=True)


def test_an_unknown_family_is_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_PACKABLE", frozenset())
    module = tiny_model("llama", blocks=1, context=77).module  # that no other test has tried
    assert probe_layout(module) == Layout(pack=False, gather=True)


def test_a_module_that_ignores_positions_is_not_packed() -> None:
    module = tiny_model("gpt2", blocks=1, context=64).module

    def forget(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> object:
        return args, kwargs | {"position_ids": None}

    module.register_forward_pre_hook(forget, with_kwargs=True)
    assert probe_layout(module) == Layout(pack=False, gather=True)


def test_a_module_that_mixes_places_after_its_output_layer_is_not_gathered() -> None:
    module = tiny_model("gpt2", blocks=1, context=48).module

    def mix(_: nn.Module, __: object, logits: Tensor) -> Tensor:
        return logits + logits.cumsum(1)

    module.lm_head.register_forward_hook(mix)
    assert probe_layout(module) == Layout(pack=False, gather=False)


def test_nothing_is_learnt_from_a_broken_module() -> None:
    module = tiny_model("gpt2", blocks=1, context=40).module
    sound = {name: one.clone() for name, one in module.state_dict().items()}
    with torch.no_grad():
        module.transformer.wte.weight.fill_(float("nan"))
    assert probe_layout(module) == Layout(pack=False, gather=False)
    module.load_state_dict(sound)
    assert probe_layout(module) == Layout(pack=True, gather=True)


def test_context_lengths_and_windows() -> None:
    for family in ("gpt2", "llama", "opt", "bert", "roberta"):
        assert context_length(tiny_model(family, context=40).module) == 40
    assert attention_window(tiny_model("gemma2").module) == 16
    assert attention_window(tiny_model("llama").module) is None
