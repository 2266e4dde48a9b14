"""What heads put out is read where the projection reads it, and sums to what attention adds."""

import numpy as np
import pytest
import torch
from tiny_adapters import adapter_for, logits, weights

from equipoise.edits.head_scales import output_projection
from equipoise.fakes import CAUSAL_FAMILIES
from equipoise.head_removal.head_activity import NEUTRAL_TEXTS, measure_heads, relative_dose
from equipoise.models.anatomy import attention_output
from equipoise.testing import tiny_model
from equipoise.training.next_token_logits import prompt_ids

TEXTS = NEUTRAL_TEXTS[:3]


@pytest.mark.thorough
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_means_and_lengths_are_those_of_plain_hooks(family: str) -> None:
    model = tiny_model(family)
    before, plain = weights(model), logits(model)
    activity = measure_heads(model, TEXTS)
    layer, read = output_projection(model.module, 1), list[torch.Tensor]()
    handle = layer.register_forward_pre_hook(lambda _, args: read.append(args[0][0]))
    with torch.no_grad():
        for ids in prompt_ids(model, TEXTS):
            model.module(input_ids=torch.tensor([ids]))
    handle.remove()
    z = torch.cat(read)
    assert activity.tokens == len(z)
    torch.testing.assert_close(activity.means["1.2"], z.mean(0)[16:24], rtol=1e-4, atol=1e-5)
    weight = attention_output(model.module, 1).get_parameter("weight").detach()
    columns = (weight.T if family == "gpt2" else weight)[:, 16:24]
    written = z[:, 16:24] @ columns.T
    assert activity.norms[1, 2] == pytest.approx(float(written.norm(dim=-1).mean()), rel=1e-3)
    assert weights(model) == before
    assert torch.equal(logits(model), plain)
    assert not layer._forward_pre_hooks


@pytest.mark.thorough
def test_the_dose_is_what_is_removed_by_the_stream() -> None:
    model = tiny_model("llama")
    every = [(0, head) for head in range(4)]
    assert relative_dose(model, [], TEXTS) == 0.0
    part, whole = relative_dose(model, [(0, 1)], TEXTS), relative_dose(model, every, TEXTS)
    assert 0 < part < whole
    assert relative_dose(model, [(0, 1)], TEXTS, scale=0.75) == pytest.approx(part / 4, rel=1e-4)
    # all heads of a block are all that its attention adds, by the length of its output
    (ids,) = prompt_ids(model, TEXTS[:1])
    added, streams = list[torch.Tensor](), list[torch.Tensor]()
    block = model.module.model.layers[0]
    handles = [
        block.self_attn.o_proj.register_forward_hook(lambda *args: added.append(args[2][0])),
        block.register_forward_hook(
            lambda *args: streams.append(args[2] if torch.is_tensor(args[2]) else args[2][0])
        ),
    ]
    with torch.no_grad():
        model.module(input_ids=torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    share = added[0].norm(dim=-1) / streams[0].reshape(added[0].shape).norm(dim=-1)
    assert relative_dose(model, every, TEXTS[:1]) == pytest.approx(float(share.mean()), rel=1e-4)


@pytest.mark.thorough
def test_the_dose_with_a_mean_in_place_is_what_changes_in_the_stream() -> None:
    model = tiny_model("llama")
    means = measure_heads(model, TEXTS).means
    (ids,) = prompt_ids(model, TEXTS[:1])
    layer = model.module.model.layers[0].self_attn.o_proj
    read, streams = list[torch.Tensor](), list[torch.Tensor]()
    handles = [
        layer.register_forward_pre_hook(lambda _, args: read.append(args[0][0])),
        model.module.model.layers[0].register_forward_hook(
            lambda *args: streams.append(args[2] if torch.is_tensor(args[2]) else args[2][0])
        ),
    ]
    with torch.no_grad():
        model.module(input_ids=torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    size = len(means["0.1"])
    place = slice(size, 2 * size)
    changed = 0.5 * (read[0][:, place] - means["0.1"]) @ layer.weight.detach()[:, place].T
    share = changed.norm(dim=-1) / streams[0].reshape(changed.shape).norm(dim=-1)
    dose = relative_dose(model, [(0, 1)], TEXTS[:1], scale=0.5, means=means)
    assert dose == pytest.approx(float(share.mean()), rel=1e-4)


@pytest.mark.thorough
def test_an_adapter_on_the_projection_counts() -> None:
    model = tiny_model("llama")
    plain = measure_heads(model, TEXTS).norms
    with adapter_for(model, target_modules=["o_proj"]).attached(model) as adapted:
        assert not np.allclose(measure_heads(adapted, TEXTS).norms, plain)
    assert np.allclose(measure_heads(model, TEXTS).norms, plain)
