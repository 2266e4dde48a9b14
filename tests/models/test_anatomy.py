"""Every entry of the table names the parts that a forward pass really goes through."""

import pytest
import torch
from torch import nn
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    GPTJConfig,
    GPTJForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
)

from equipoise.errors import ModelError
from equipoise.models import anatomy
from equipoise.testing import CAUSAL_FAMILIES, FAMILIES, MASKED_FAMILIES, tiny_model


def _ids() -> torch.Tensor:
    return torch.tensor([[1, 70, 80, 90, 100]])


def _outputs(module: PreTrainedModel, parts: list[nn.Module]) -> list[torch.Tensor]:
    """What each part puts out in one forward pass, in the order given."""
    seen: dict[int, torch.Tensor] = {}

    def keep(part: nn.Module, _: object, output: object) -> None:
        first = output[0] if isinstance(output, tuple) else output
        assert isinstance(first, torch.Tensor)
        seen[id(part)] = first.detach().clone()

    handles = [part.register_forward_hook(keep) for part in parts]
    with torch.no_grad():
        module(input_ids=_ids())
    for handle in handles:
        handle.remove()
    return [seen[id(part)] for part in parts]


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
def test_a_masked_models_output_projection_lies_in_its_feed_forward_part(family: str) -> None:
    module = tiny_model(family).module
    projection = anatomy.mlp_output(module, 0)
    assert isinstance(projection, nn.Linear)
    assert projection.out_features == module.config.hidden_size
    assert any(one is projection for one in anatomy.mlp(module, 0)[-1].modules())


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
def test_a_block_normed_before_adds_its_attention_and_mlp_to_the_stream(family: str) -> None:
    module = tiny_model(family).module
    assert anatomy.anatomy(module).norm_place == "before"
    first, second = anatomy.blocks(module)
    before, after, attended, fed = _outputs(
        module, [first, second, anatomy.attention(module, 1), anatomy.mlp(module, 1)[-1]]
    )
    torch.testing.assert_close(after, before + attended + fed)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_output_projection_mixes_all_heads(family: str) -> None:
    module = tiny_model(family).module
    heads = anatomy.heads(module)
    seen: list[torch.Tensor] = []
    projection = anatomy.attention_output(module, 0)
    handle = projection.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        module(input_ids=_ids())
    handle.remove()
    assert (heads.count, heads.size) == (4, 8)
    assert heads.key_value in (2, 4)
    assert seen[0].shape[-1] == heads.count * heads.size


@pytest.mark.parametrize("family", FAMILIES)
def test_the_embeddings_are_the_model_s_own(family: str) -> None:
    module = tiny_model(family).module
    assert anatomy.embeddings(module) is module.get_input_embeddings()


def test_grouped_queries_are_counted() -> None:
    assert anatomy.heads(tiny_model("llama").module).key_value == 2
    assert anatomy.heads(tiny_model("gpt2").module).key_value == 4


def test_gemma3_with_its_vision_part_keeps_its_blocks_one_level_deeper() -> None:
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


def test_opt_normed_after_has_no_final_norm() -> None:
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


def test_an_unknown_architecture_is_named_with_the_known_ones() -> None:
    config = GPTJConfig(n_embd=16, n_layer=1, n_head=2, rotary_dim=4)
    with pytest.raises(ModelError, match=r"architecture 'gptj' \(GPTJForCausalLM\).*gpt_neox"):
        anatomy.blocks(GPTJForCausalLM(config))


def test_a_block_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ModelError, match="block must be 0 to 1 in LlamaForCausalLM, got 2"):
        anatomy.attention(tiny_model("llama").module, 2)
