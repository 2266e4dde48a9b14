"""Attribution of heads: parts sum to the logits on every family; what is not exact is refused."""

import dataclasses

import numpy as np
import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from transformers import AutoConfig, AutoModelForCausalLM

from equipoise.attribution.logit_attribution import Attribution, HeadAttributor
from equipoise.attribution.residual_parts import projection_inputs
from equipoise.errors import ModelError
from equipoise.fakes import CAUSAL_FAMILIES, tiny_model, tiny_tokenizer
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import attention_output, blocks
from equipoise.models.tokenization import Ids

FIRST, SECOND = (10, 11, 12, 13, 14, 15), (20, 21, 22, 23, 24, 25)
#: Families with something of their own: how they multiply, add and norm.
OTHERS = {
    "granite": {"residual_multiplier": 0.22, "logits_scaling": 8.0, "embedding_multiplier": 12.0},
    "cohere": {"logit_scale": 0.0625},
    "olmo": {},
    "olmo2": {},
    "falcon": {"multi_query": True},
    "gptj": {"rotary_dim": 4},
    "bloom": {},
    "phi": {},
    "mixtral": {"num_key_value_heads": 2, "num_local_experts": 4},
}


def other_model(family: str, **more: object) -> LanguageModel:
    """A random model of a family that `tiny_model` does not build."""
    sizes = {
        "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 300,
        "intermediate_size": 48, "max_position_embeddings": 64, "pad_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    config = AutoConfig.for_model(family, **{**sizes, **more})
    with torch.random.fork_rng(devices=[]):
        module = AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, parameter in sorted(module.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(0.2 * noise if parameter.ndim > 1 else parameter + 0.1 * noise)
    return LanguageModel(module=module, tokenizer=tiny_tokenizer(), identity=family)


def texts() -> list[Ids]:
    """Token ids of unequal length, of which two begin alike."""
    rows = [np.random.default_rng(k).integers(3, 250, size=5 + k).tolist() for k in range(5)]
    return [(1, *row) for row in rows] + [(1, *rows[4][:6], 99)]


def attributed(model: LanguageModel) -> Attribution:
    attributor = HeadAttributor(model)
    return attributor.attribute(attributor.read(texts()), FIRST, SECOND)


@torch.no_grad()
def differences(model: LanguageModel) -> np.ndarray:
    """By the model's own logits, a text at a time, before any cap."""
    cap = model.module.config.to_dict().get("final_logit_softcapping")
    values = []
    for ids, first, second in zip(texts(), FIRST, SECOND, strict=True):
        logits = model.module(input_ids=torch.tensor([ids])).logits[0, -1].double()
        if cap:
            logits = cap * torch.atanh(logits / cap)
        values.append(float(logits[first] - logits[second]))
    return np.array(values)


@pytest.mark.thorough
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_parts_sum_to_the_difference_of_logits(family: str) -> None:
    model = tiny_model(family, blocks=4)
    shared = attributed(model)
    # methods-biasgym 5.1: 1e-5 in float32
    assert np.abs(shared.errors).max() < 1e-5
    expected = differences(model)
    np.testing.assert_allclose(shared.difference, expected, atol=1e-5)
    total = shared.heads.sum(1) + shared.mlps.sum(1) + shared.embedding + shared.constant
    np.testing.assert_allclose(total, expected, atol=1e-5)
    assert np.abs(shared.heads).max() > 0.01  # heads matter


@pytest.mark.thorough
@pytest.mark.parametrize("family", OTHERS)
def test_parts_sum_on_families_with_factors_and_norms_of_their_own(family: str) -> None:
    model = other_model(family, **OTHERS[family])
    shared = attributed(model)
    np.testing.assert_allclose(shared.difference + shared.errors, differences(model), atol=1e-5)


@pytest.mark.thorough
@torch.no_grad()
def test_each_head_is_what_its_own_columns_write() -> None:
    """A slow reference: push one head's write through the frozen norm to both logits."""
    model = tiny_model("llama", blocks=2)
    shared, module = attributed(model), model.module
    inputs: list[torch.Tensor] = []
    stream: list[torch.Tensor] = []
    for number in range(2):
        attention_output(module, number).register_forward_pre_hook(
            lambda _, args: inputs.append(args[0][0, -1])
        )
    blocks(module)[-1].register_forward_hook(
        lambda _, __, out: stream.append((out if torch.is_tensor(out) else out[0])[0, -1])
    )
    for example, (ids, first, second) in enumerate(zip(texts(), FIRST, SECOND, strict=True)):
        inputs.clear()
        stream.clear()
        with torch.no_grad():
            module(input_ids=torch.tensor([ids]))
        scale = torch.sqrt(stream[0].square().mean() + module.config.rms_norm_eps)
        direction = module.lm_head.weight[first] - module.lm_head.weight[second]
        for number in range(2):
            weight = attention_output(module, number).weight
            for head in range(4):
                part = slice(8 * head, 8 * head + 8)
                write = weight[:, part] @ inputs[number][part] * module.model.norm.weight / scale
                assert shared.heads[example, 4 * number + head] == pytest.approx(
                    float(write @ direction), abs=1e-5
                )


@pytest.mark.thorough
def test_without_the_norm_it_is_the_papers_product() -> None:
    model = tiny_model("gemma", blocks=2)
    module = model.module
    shared = attributed(model)
    with torch.no_grad():
        rows = module.lm_head.weight[list(FIRST)] - module.lm_head.weight[list(SECOND)]
        writes: list[torch.Tensor] = []
        projection = attention_output(module, 1)
        handle = projection.register_forward_hook(lambda _, __, out: writes.append(out[0, -1]))
        for ids in texts():
            module(input_ids=torch.tensor([ids]))
        handle.remove()
    expected = (torch.stack(writes) * rows).sum(-1)
    np.testing.assert_allclose(shared.literal[:, 4:].sum(1), expected.numpy(), atol=1e-4)
    # the norm turns the direction: the heads are ranked by something else
    assert np.corrcoef(shared.literal.mean(0), shared.heads.mean(0))[0, 1] < 0.999


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "gpt_neox"])
def test_half_precision_is_summed_in_float32(family: str) -> None:
    exact = attributed(tiny_model(family))
    model = tiny_model(family)
    model.module.to(torch.bfloat16)
    rounded = attributed(model)
    np.testing.assert_allclose(rounded.heads, exact.heads, atol=0.1)


@pytest.mark.thorough
def test_an_adapter_on_a_projection_counts() -> None:
    model = tiny_model("llama")
    plain = attributed(model).heads
    config = LoraConfig(target_modules=["o_proj"], r=2, init_lora_weights=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inject_adapter_in_model(config, model.module)
    adapted = attributed(model)
    assert np.abs(adapted.errors).max() < 1e-5
    np.testing.assert_allclose(adapted.difference, differences(model), atol=1e-5)
    assert np.abs(adapted.heads - plain).max() > 1e-3


@pytest.mark.thorough
def test_an_odd_width_and_company_change_nothing() -> None:
    model = tiny_model("llama")
    attributor = HeadAttributor(model)
    together = attributor.attribute(attributor.read(texts()), FIRST, SECOND)
    for row, ids in enumerate(texts()):
        alone = attributor.attribute(
            attributor.read([ids]), FIRST[row : row + 1], SECOND[row : row + 1]
        )
        np.testing.assert_allclose(alone.heads[0], together.heads[row], atol=1e-5)


@pytest.mark.thorough
def test_the_model_is_left_as_it_was() -> None:
    model = tiny_model("gemma3")
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    attributed(model)
    assert all(
        torch.equal(value, before[name]) for name, value in model.module.state_dict().items()
    )
    assert not any(
        part._forward_hooks or part._forward_pre_hooks for part in model.module.modules()
    )


@pytest.mark.parametrize(
    ("family", "options", "reason"),
    [
        ("bitnet", {"num_key_value_heads": 4}, "a norm stands between heads and projection"),
        ("opt", {"do_layer_norm_before": False, "ffn_dim": 48}, "the parts of block 0 leave"),
        ("mamba", {}, "block 0 has no attention but 'mixer'"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_be_shared_out_is_refused_and_named(
    family: str, options: dict[str, object], reason: str
) -> None:
    model = other_model(family, **options)
    with pytest.raises(ModelError, match=reason) as caught:
        HeadAttributor(model)
    assert type(model.module).__name__ in str(caught.value)


def test_a_masked_model_is_refused() -> None:
    with pytest.raises(ModelError, match="is masked"):
        HeadAttributor(tiny_model("bert"))


def test_what_reaches_the_logits_beside_the_parts_is_an_error() -> None:
    model = tiny_model("llama")
    attributor = HeadAttributor(model)
    states = attributor.read(texts())
    shifted = dataclasses.replace(states, embedding=states.embedding + 1.0)
    with pytest.raises(ModelError, match="must sum to it"):
        attributor.attribute(shifted, FIRST, SECOND)


def test_projections_are_read_by_inputs() -> None:
    assert projection_inputs(attention_output(tiny_model("gpt2").module, 0)) == 32
    assert projection_inputs(attention_output(tiny_model("llama").module, 0)) == 32


@pytest.mark.thorough
def test_rows_of_an_output_layer_with_an_adapter_are_its_gradients() -> None:
    model = tiny_model("llama")
    config = LoraConfig(target_modules=["lm_head"], r=2, init_lora_weights=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inject_adapter_in_model(config, model.module)
    adapted = attributed(model)
    np.testing.assert_allclose(adapted.difference, differences(model), atol=1e-5)
    assert np.abs(adapted.errors).max() < 1e-5


@pytest.mark.thorough
def test_rounding_of_huge_features_is_no_missing_part() -> None:
    """In bfloat16 each addition to a stream with massive activations rounds away much."""
    model = tiny_model("llama", blocks=4)
    with torch.no_grad():
        # two of them, which cancel in every logit
        model.module.model.embed_tokens.weight[:, [3, 5]] += 300.0
        model.module.lm_head.weight[:, 5] = -model.module.lm_head.weight[:, 3]
        model.module.model.norm.weight[5] = model.module.model.norm.weight[3]
    exact = attributed(model)
    model.module.to(torch.bfloat16)
    rounded = attributed(model)
    parts = np.column_stack([exact.heads, exact.mlps, exact.embedding, exact.constant])
    assert np.abs(rounded.errors / np.sqrt((parts**2).sum(1))).max() > 0.05
