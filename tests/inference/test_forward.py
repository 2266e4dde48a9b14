"""What the output layer reads at chosen places: its values, its gradients, in every layout."""

import pytest
import torch
from torch import Tensor

from equipoise.inference.forward import hidden_at, logits_at
from equipoise.inference.layout import probe_layout
from equipoise.inference.prefix_sharing import pack, single
from equipoise.testing import tiny_model

TEXTS = ((1, 70, 80, 90, 75), (1, 70, 80, 60), (5, 9))
FAMILIES = ("gpt2", "llama", "opt", "gpt_neox")


def places(rows: list) -> Tensor:  # type: ignore[type-arg]
    """Of the last token of each text, in the order of the texts."""
    length = max(map(len, rows))
    found = {
        number: index * length + path[-1]
        for index, row in enumerate(rows)
        for number, path in row.paths.items()
    }
    return torch.tensor([found[number] for number in sorted(found)])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("packed", [True, False])
def test_hidden_states_make_the_logits(family: str, packed: bool) -> None:
    module = tiny_model(family).module
    layout = probe_layout(module)
    rows = pack(TEXTS, range(3)) if packed else single(TEXTS, range(3))
    if not packed:
        layout = type(layout)(pack=False, gather=layout.gather)
    chosen = places(rows)
    hidden = hidden_at(module, rows, chosen, layout)
    logits = logits_at(module, rows, chosen, layout)
    torch.testing.assert_close(module.get_output_embeddings()(hidden), logits)
    alone = torch.stack([module(torch.tensor([one])).logits[0, -1] for one in TEXTS])
    torch.testing.assert_close(logits, alone, rtol=1e-5, atol=1e-5)


def test_gradients_reach_the_weights_through_hidden_states() -> None:
    module = tiny_model("llama").module
    layout = probe_layout(module)
    weight = module.model.layers[0].mlp.up_proj.weight
    rows = pack(TEXTS, range(3))
    chosen = places(rows)
    (found,) = torch.autograd.grad(hidden_at(module, rows, chosen, layout).square().sum(), weight)
    states = [
        module.model(torch.tensor([one])).last_hidden_state[0, -1].square().sum() for one in TEXTS
    ]
    (truth,) = torch.autograd.grad(torch.stack(states).sum(), weight)
    torch.testing.assert_close(found, truth, rtol=1e-4, atol=1e-4)


def test_nothing_is_left_on_the_output_layer_also_after_an_error() -> None:
    module = tiny_model("llama").module
    layout = probe_layout(module)
    rows = single(TEXTS, range(3))
    with pytest.raises(IndexError):
        hidden_at(module, rows, torch.tensor([10**6]), layout)
    assert not module.get_output_embeddings()._forward_pre_hooks


def test_a_module_without_an_output_layer_is_named() -> None:
    backbone = tiny_model("llama").module.model
    layout = probe_layout(tiny_model("llama").module)
    with pytest.raises(TypeError, match="LlamaModel has no output layer"):
        hidden_at(backbone, single(TEXTS, range(3)), torch.tensor([0]), layout)
