"""The parts that are found are those that a forward pass really goes through."""

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from equipoise.errors import ModelError
from equipoise.models import anatomy
from equipoise.testing import CAUSAL_FAMILIES, FAMILIES, MASKED_FAMILIES, tiny_model


def _ids() -> torch.Tensor:
    return torch.tensor([[1, 7, 8, 9, 10]])


def _outputs(module: PreTrainedModel, parts: list[nn.Module]) -> list[torch.Tensor]:
    """What each part puts out in one forward pass, in the order given."""
    outputs: dict[int, torch.Tensor] = {}

    def keep(part: nn.Module, _: object, output: object) -> None:
        first = output[0] if isinstance(output, tuple) else output
        assert isinstance(first, torch.Tensor)
        outputs[id(part)] = first.detach().clone()

    handles = [part.register_forward_hook(keep) for part in parts]
    with torch.no_grad():
        module(input_ids=_ids())
    for handle in handles:
        handle.remove()
    return [outputs[id(part)] for part in parts]


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_the_head_reads_the_final_norm_which_reads_the_last_block(family: str) -> None:
    module = tiny_model(family).module
    last, normed = _outputs(module, [anatomy.blocks(module)[-1], anatomy.final_norm(module)])
    with torch.no_grad():
        hidden = anatomy.base(module)(input_ids=_ids()).last_hidden_state
        logits = module(input_ids=_ids()).logits
        again = anatomy.head(module)(hidden)
        assert torch.equal(anatomy.final_norm(module)(last), normed)
    assert torch.equal(hidden, normed)
    cap = module.config.to_dict().get("final_logit_softcapping")
    again = again if cap is None else cap * torch.tanh(again / cap)
    torch.testing.assert_close(logits, again)


@pytest.mark.parametrize("family", MASKED_FAMILIES)
def test_a_masked_model_ends_with_its_last_block(family: str) -> None:
    module = tiny_model(family).module
    (last,) = _outputs(module, [anatomy.blocks(module)[-1]])
    with torch.no_grad():
        hidden = anatomy.base(module)(input_ids=_ids()).last_hidden_state
        logits = module(input_ids=_ids()).logits
        torch.testing.assert_close(anatomy.head(module)(hidden), logits)
    assert torch.equal(hidden, last)
    with pytest.raises(ModelError, match=r"a norm after its last block, it has none"):
        anatomy.final_norm(module)


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_the_feed_forward_part_ends_with_its_output_projection(family: str) -> None:
    module = tiny_model(family).module
    for number in range(len(anatomy.blocks(module))):
        projection = anatomy.mlp_output(module, number)
        projected, added = _outputs(module, [projection, anatomy.mlp(module, number)[-1]])
        assert torch.equal(projected, added)


@pytest.mark.parametrize("family", MASKED_FAMILIES)
def test_a_masked_models_mlp_contains_its_output_projection(family: str) -> None:
    module = tiny_model(family).module
    projection = anatomy.mlp_output(module, 0)
    assert isinstance(projection, nn.Linear)
    assert projection.out_features == module.config.hidden_size
    assert any(part is projection for part in anatomy.mlp(module, 0)[-1].modules())


@pytest.mark.thorough
@pytest.mark.parametrize("family", FAMILIES)
def test_every_block_has_its_parts_and_they_cover_its_parameters(family: str) -> None:
    module = tiny_model(family, blocks=3).module
    assert len(anatomy.blocks(module)) == 3
    for number, block in enumerate(anatomy.blocks(module)):
        parts = (
            anatomy.attention(module, number),
            *anatomy.mlp(module, number),
            *anatomy.norms(module, number),
        )
        covered = {id(parameter) for part in parts for parameter in part.parameters()}
        assert covered == {id(parameter) for parameter in block.parameters()}


@pytest.mark.parametrize(
    "family", ["gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma", "gpt_neox", "opt"]
)
def test_a_pre_norm_block_adds_attention_and_mlp_to_the_residual_stream(family: str) -> None:
    module = tiny_model(family).module
    first, second = anatomy.blocks(module)
    before, after, attended, fed = _outputs(
        module, [first, second, anatomy.attention(module, 1), anatomy.mlp(module, 1)[-1]]
    )
    torch.testing.assert_close(after, before + attended + fed)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_output_projection_mixes_all_heads(family: str) -> None:
    module = tiny_model(family).module
    heads = anatomy.heads(module)
    inputs: list[torch.Tensor] = []
    projection = anatomy.attention_output(module, 0)
    handle = projection.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    with torch.no_grad():
        module(input_ids=_ids())
    handle.remove()
    assert (heads.count, heads.size) == (4, 8)
    assert heads.key_value in (2, 4)
    assert inputs[0].shape[-1] == heads.count * heads.size


@pytest.mark.parametrize("family", FAMILIES)
def test_the_embeddings_are_the_model_s_own(family: str) -> None:
    module = tiny_model(family).module
    assert anatomy.embeddings(module) is module.get_input_embeddings()


def test_grouped_queries_are_counted() -> None:
    assert anatomy.heads(tiny_model("llama").module).key_value == 2
    assert anatomy.heads(tiny_model("gpt2").module).key_value == 4


@pytest.mark.thorough
def test_multimodal_gemma3_has_the_parts_of_its_text_model() -> None:
    text = tiny_model("gemma3").module.config.to_dict() | {"vocab_size": 300}
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    module = Gemma3ForConditionalGeneration(config).eval()
    (last,) = _outputs(module, [anatomy.blocks(module)[-1]])
    with torch.no_grad():
        hidden = anatomy.final_norm(module)(last)
        torch.testing.assert_close(anatomy.head(module)(hidden), module(input_ids=_ids()).logits)
    assert anatomy.embeddings(module) is module.get_input_embeddings()
    assert anatomy.heads(module) == anatomy.Heads(count=4, key_value=2, size=8)


def test_post_norm_opt_has_no_final_norm() -> None:
    config = OPTConfig(
        hidden_size=16,
        ffn_dim=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        word_embed_proj_dim=16,
        vocab_size=32,
        do_layer_norm_before=False,
    )
    with pytest.raises(ModelError, match="must have a norm after its last block"):
        anatomy.final_norm(OPTForCausalLM(config))


_SIZES = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "pad_token_id": 0,
}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        ("olmo2", {}),
        ("phi", {}),
        ("phi3", {}),
        ("smollm3", {}),
        ("granite", {}),
        ("falcon", {}),
        ("bloom", {}),
        ("stablelm", {}),
        ("mpt", {"max_seq_len": 64}),
        ("cohere", {}),
        ("mixtral", {"num_local_experts": 2}),
        ("gpt_oss", {"num_local_experts": 2, "num_experts_per_tok": 2, "head_dim": 8}),
        ("gptj", {"rotary_dim": 4}),
        ("mamba", {"state_size": 4}),
        ("rwkv", {"attention_hidden_size": 16}),
    ],
)
def test_parts_of_unlisted_families_are_searched(family: str, sizes: dict[str, int]) -> None:
    config = CONFIG_MAPPING[family](**{**_SIZES, **sizes})
    module = AutoModelForCausalLM.from_config(config).eval()
    last, normed = _outputs(module, [anatomy.blocks(module)[-1], anatomy.final_norm(module)])
    with torch.no_grad():
        hidden = anatomy.base(module)(input_ids=_ids()).last_hidden_state
        assert torch.equal(anatomy.final_norm(module)(last), normed)
    assert torch.equal(hidden, normed)
    for number, block in enumerate(anatomy.blocks(module)):
        parts = (
            anatomy.attention(module, number),
            *anatomy.mlp(module, number),
            *anatomy.norms(module, number),
        )
        covered = {id(parameter) for part in parts for parameter in part.parameters()}
        assert covered == {id(parameter) for parameter in block.parameters()}


#: What docs/models.md says is not found.
_NOT_FOUND = {
    "dory", "electra", "hrm_text", "inkling_text", "minicpm3", "mllama",
    "modernbert-decoder", "prophetnet", "xlm",
}  # fmt: skip
_COMMON = {
    **_SIZES, "vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 4,
    "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 256,
    "head_dim": 8,
    "bos_token_id": 0, "eos_token_id": 1, "num_experts": 4, "num_local_experts": 4,
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_group": 1,
    "topk_group": 1, "kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4, "v_head_dim": 8, "ffn_dim": 64, "d_model": 32, "n_layers": 4,
    "n_heads": 4, "lru_width": 32, "mamba_d_state": 8, "state_size": 8,
    "shared_expert_intermediate_size": 16, "word_embed_proj_dim": 32, "mamba_expand": 2,
    "num_heads": 4, "decoder_layers": 4, "decoder_attention_heads": 4, "decoder_ffn_dim": 64,
    "rotary_dim": 4,
}  # fmt: skip


def _small(family: str) -> PreTrainedModel | None:
    """A small model of a family; None where the common sizes do not make one."""
    try:
        usual = CONFIG_MAPPING[family]()
        text = usual.get_text_config()
        sizes = {name: value for name, value in _COMMON.items() if name in text.to_dict()}
        sizes |= {name: value for name, value in _COMMON.items() if name in text.attribute_map}
        if text is not usual:
            sizes = {"text_config": {**sizes, "model_type": text.model_type}}
        config = CONFIG_MAPPING[family](**sizes)
        with torch.device("meta"):
            if AutoModelForCausalLM.from_config(config).num_parameters() > 30e6:
                return None
        module: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval().float()
        with torch.no_grad():
            module(input_ids=_ids())
    except Exception:
        return None
    return module


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_parts_are_found_in_nearly_every_causal_class() -> None:
    searched, refused = set(), set()
    for family in sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        module = _small(family)
        if module is None:
            continue
        searched.add(family)
        try:
            anatomy.anatomy(module)
        except ModelError:
            refused.add(family)
    assert len(searched) > 120
    assert refused <= _NOT_FOUND


@pytest.mark.parametrize(
    ("family", "option", "projection"),
    [
        ("llama", "intermediate_size", "model.layers.1.mlp.down_proj"),
        ("gpt2", "n_inner", "transformer.h.1.mlp.c_proj"),
    ],
)
def test_a_feed_forward_part_as_wide_as_the_stream(
    family: str, option: str, projection: str
) -> None:
    config = CONFIG_MAPPING[family](**{**_SIZES, option: 16})
    module = AutoModelForCausalLM.from_config(config)
    assert anatomy.mlp_output(module, 1) is module.get_submodule(projection)


def test_falcons_queries_share_keys_and_values() -> None:
    config = CONFIG_MAPPING["falcon"](**_SIZES, multi_query=True)
    assert anatomy.heads(AutoModelForCausalLM.from_config(config)).key_value == 1


def test_a_projection_with_an_adapter_is_the_wrapped_module() -> None:
    model = tiny_model("llama", context=35)  # that no other test has searched
    inject_adapter_in_model(LoraConfig(target_modules=["o_proj", "down_proj"]), model.module)
    block = anatomy.block(model.module, 0)
    assert anatomy.attention_output(model.module, 0) is block.self_attn.o_proj
    assert anatomy.mlp_output(model.module, 0) is block.mlp.down_proj


def test_a_mixture_of_experts_has_no_single_output_projection() -> None:
    config = CONFIG_MAPPING["mixtral"](**_SIZES, num_local_experts=2)
    module = AutoModelForCausalLM.from_config(config)
    with pytest.raises(ModelError, match=r"block 0 of MixtralForCausalLM .* got .*mlp"):
        anatomy.mlp_output(module, 0)


@pytest.mark.thorough
def test_blocks_of_different_kinds_have_their_own_parts() -> None:
    kinds = ["linear_attention", "full_attention", "linear_attention"]
    config = CONFIG_MAPPING["qwen3_5_text"](**_SIZES, head_dim=8, layer_types=kinds)
    module = AutoModelForCausalLM.from_config(config)
    names = [type(anatomy.attention(module, number)).__name__ for number in range(3)]
    assert names[0] == names[2] != names[1]
    assert anatomy.attention_output(module, 0).weight.shape[0] == 16


def test_blocks_without_a_residual_stream_are_refused() -> None:
    module = tiny_model("llama", blocks=2, context=33).module  # that no other test has searched
    module.model.layers[1].register_forward_pre_hook(lambda _, args: (args[0] * 2, *args[1:]))
    with pytest.raises(ModelError, match=r"LlamaForCausalLM.*layers.1 does not read what"):
        anatomy.blocks(module)


def test_a_model_without_a_list_of_blocks_is_refused() -> None:
    module = tiny_model("llama", blocks=2, context=34).module
    module.config.num_hidden_layers = 5
    with pytest.raises(ModelError, match="it has no list of 5 modules"):
        anatomy.blocks(module)


def test_a_block_out_of_range_is_an_error() -> None:
    with pytest.raises(ModelError, match="block must be 0 to 1 in LlamaForCausalLM, got 2"):
        anatomy.attention(tiny_model("llama").module, 2)
