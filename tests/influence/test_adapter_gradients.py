"""Gradients of a batch of texts are those of a plain loop over texts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, MixtralConfig

from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.adapter_gradients import AdapterGradients
from equipoise.influence.learnt_texts import LearntText
from equipoise.testing import tiny_model
from equipoise.training.lora import lora_config, lora_in_training

from . import plain


def draw(count: int = 5, *, seed: int = 0, vocabulary: int = 200) -> list[LearntText]:
    """Texts of 4 to 15 tokens; every other is learnt in part only."""
    generator = np.random.default_rng(seed)
    texts = []
    for number in range(count):
        ids = tuple(generator.integers(5, vocabulary, generator.integers(4, 16)).tolist())
        first = 1 if number % 2 else len(ids) // 2
        last = len(ids) - (number == 3)  # a text that is not learnt to its end
        texts.append(LearntText(ids, tuple(range(first, last))))
    return texts


def largest_gap(model: LanguageModel, *, targets: tuple[str, ...] = ("auto",)) -> float:
    """Of a batch's gradients from the plain loop's, relative to the largest entry."""
    texts = draw()
    with plain.adapter(model, targets=targets) as parameters:
        gradients = AdapterGradients(model)
        assert list(gradients.sizes) == list(parameters)
        batch = gradients.compute(texts)
        computed = batch.flat().double().numpy()
        expected = [
            plain.flat(plain.gradient(model, parameters, (list(text.ids), list(text.positions))))
            for text in texts
        ]
        losses = [
            float(plain.loss_of(model, (list(text.ids), list(text.positions)))) for text in texts
        ]
    tolerance = 1e-5 if model.module.dtype == torch.float32 else 0.02
    assert batch.losses.tolist() == pytest.approx(losses, rel=tolerance)
    return float(np.abs(computed - np.stack(expected)).max() / np.abs(expected).max())


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2", "opt", "gemma2", "gpt_neox"])
def test_a_batch_has_the_gradients_of_a_loop(family: str) -> None:
    assert largest_gap(tiny_model(family)) < 1e-5


@pytest.mark.thorough
def test_grouped_queries_and_tied_embeddings() -> None:
    tiny = tiny_model("llama")
    config = LlamaConfig(
        hidden_size=48, intermediate_size=64, num_hidden_layers=3, num_attention_heads=6,
        num_key_value_heads=2, vocab_size=len(tiny.tokenizer), tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    module = LlamaForCausalLM(config).eval()
    assert largest_gap(replace(tiny, module=module), targets=("q_proj", "v_proj")) < 1e-5


@pytest.mark.thorough
def test_every_linear_layer_of_conv1d_and_linear_models() -> None:
    for family in ("gpt2", "llama"):
        assert largest_gap(tiny_model(family), targets=("all-linear",)) < 1e-5


@pytest.mark.thorough
def test_in_bfloat16_rounding_is_all_that_differs() -> None:
    """A sum of two products rounds to 3 digits; the loop and the batch round differently."""
    model = tiny_model("llama")
    half = replace(model, module=model.module.bfloat16())
    assert largest_gap(half) < 0.05


@pytest.mark.thorough
def test_company_and_order_change_nothing() -> None:
    model, texts = tiny_model("llama"), draw(6)
    with plain.adapter(model):
        gradients = AdapterGradients(model)
        together = gradients.compute(texts).flat()
        alone = torch.cat([gradients.compute([text]).flat() for text in texts])
        turned = gradients.compute(texts[::-1]).flat().flip(0)
    scale = together.abs().max()
    assert float((together - alone).abs().max() / scale) < 1e-5
    assert float((together - turned).abs().max() / scale) < 1e-5


@pytest.mark.thorough
def test_together_it_is_the_gradient_of_the_mean_over_all_tokens() -> None:
    model, texts = tiny_model("llama"), draw(4)
    with plain.adapter(model):
        gradients = AdapterGradients(model)
        batch = gradients.compute(texts, together=True)
        apart = gradients.compute(texts)
    counts = torch.tensor([float(len(text.positions)) for text in texts])
    share = (counts / counts.sum())[:, None]
    assert batch.flat().shape[0] == 1
    torch.testing.assert_close(batch.flat()[0], (share * apart.flat()).sum(0), rtol=1e-4, atol=1e-6)
    assert float(batch.losses) == pytest.approx(float((share[:, 0] * apart.losses).sum()), rel=1e-5)


def test_nothing_below_the_first_adapted_layer_is_differentiated() -> None:
    model = tiny_model("llama", blocks=3)
    needed: dict[int, bool] = {}
    with plain.adapter(model, targets=("layers.1.self_attn.q_proj",)):
        for number, block in enumerate(model.module.model.layers):
            block.register_forward_hook(
                lambda _, __, output, number=number: needed.update(
                    {number: (output if torch.is_tensor(output) else output[0]).requires_grad}
                )
            )
        gradients = AdapterGradients(model)
        needed.clear()
        gradients.compute(draw(2))
    assert needed == {0: False, 1: True, 2: True}


@pytest.mark.thorough
def test_tokens_after_the_last_that_is_learnt_are_not_read() -> None:
    model, lengths = tiny_model("llama"), []
    model.module.model.layers[0].register_forward_hook(
        lambda _, inputs, __: lengths.append(inputs[0].shape[1])
    )
    whole, cut = LearntText(tuple(range(5, 15)), (3, 4)), LearntText(tuple(range(5, 10)), (3, 4))
    with plain.adapter(model):
        gradients = AdapterGradients(model)
        lengths.clear()
        first, second = gradients.compute([whole]).flat(), gradients.compute([cut]).flat()
    assert lengths == [4, 4]
    assert torch.equal(first, second)


@pytest.mark.thorough
def test_the_output_layer_runs_where_something_is_learnt() -> None:
    """It is a product of these positions with the vocabulary, outside of the module itself."""
    model = tiny_model("llama")
    text = LearntText((5, 6, 7, 8, 9, 10), (4, 5))
    with plain.adapter(model):
        gradients = AdapterGradients(model)
        sizes: list[int] = []
        head = gradients.head
        assert head is not None

        class Counting(type(head)):  # type: ignore[misc]
            def logits(self, hidden: torch.Tensor) -> torch.Tensor:
                sizes.append(len(hidden))
                return super().logits(hidden)

        gradients.head = Counting(linear=head.linear)
        gradients.compute([text, text])
    assert sizes == [4]


@pytest.mark.thorough
def test_the_module_is_left_as_it_was() -> None:
    model = tiny_model("llama")
    model.module.train()
    flags = [parameter.requires_grad for parameter in model.module.parameters()]
    with plain.adapter(model) as parameters:
        model.module.train()
        AdapterGradients(model).compute(draw(2))
        assert all(part.training for part in model.module.modules())
        assert all(parameter.grad is None for parameter in parameters.values())
        assert not any(len(part._forward_hooks) for part in model.module.modules())
    assert [parameter.requires_grad for parameter in model.module.parameters()] == flags


def test_dropout_is_off_and_dropout_that_stays_on_is_refused() -> None:
    class Stubborn(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(x, 0.5, training=True)

    model, text = tiny_model("llama"), draw(1)[0]
    with plain.adapter(model):
        gradients = AdapterGradients(model)
        for part in model.module.modules():
            if isinstance(part, nn.ModuleDict) and "equipoise" in part and len(part) == 1:
                child = part["equipoise"]
                if isinstance(child, nn.Identity):
                    part["equipoise"] = nn.Dropout(0.5)
        model.module.train()
        gradients.refuse_chance(text)
        for part in model.module.modules():
            if isinstance(part, nn.ModuleDict) and isinstance(
                dict(part).get("equipoise"), nn.Dropout
            ):
                part["equipoise"] = Stubborn()
        with pytest.raises(ModelError, match="dropout"):
            gradients.refuse_chance(text)


def test_a_model_without_an_adapter_and_other_adapters_are_refused() -> None:
    with pytest.raises(ModelError, match="none"):
        AdapterGradients(tiny_model("llama"))
    with pytest.raises(ModelError, match="causal"):
        AdapterGradients(tiny_model("bert"))
    model = tiny_model("llama")
    config = lora_config(model.module, rank=2, alpha=2, dropout=0.0)
    with (
        lora_in_training(model, config | {"use_dora": True}, seed=0),
        pytest.raises(ModelError, match="plain LoRA"),
    ):
        AdapterGradients(model)


@pytest.mark.thorough
def test_experts_with_a_capacity_or_a_loss_of_balance_are_refused() -> None:
    model = tiny_model("llama")
    model.module.config.expert_capacity = 4
    with plain.adapter(model), pytest.raises(ModelError, match="expert_capacity"):
        AdapterGradients(model)
    config = MixtralConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, vocab_size=len(model.tokenizer), num_local_experts=2,
        output_router_logits=True,
    )  # fmt: skip
    torch.manual_seed(0)
    mixture = replace(model, module=AutoModelForCausalLM.from_config(config).eval())
    with (
        plain.adapter(mixture, targets=("q_proj",)),
        pytest.raises(ModelError, match="output_router_logits"),
    ):
        AdapterGradients(mixture)
    mixture.module.config.output_router_logits = False
    assert largest_gap(mixture, targets=("q_proj", "v_proj")) < 1e-5


def test_a_layer_that_is_run_twice_is_refused() -> None:
    model = tiny_model("llama")
    model.module.model.layers[1] = model.module.model.layers[0]
    with plain.adapter(model, targets=("layers.0.self_attn.q_proj",)):
        gradients = AdapterGradients(model)
        with pytest.raises(ModelError, match="again"):
            gradients.compute(draw(1))
