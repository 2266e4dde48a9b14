"""BMI: bounds, agreement with the library's own hidden states, options, intervals."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.block_influence import BlockInfluence, block_influence
from equipoise.models.anatomy import blocks
from equipoise.records import Prompt
from equipoise.testing import CAUSAL_FAMILIES, FAMILIES, tiny_model
from equipoise.training.next_token_logits import prompt_ids

PROMPTS = tuple(
    Prompt(id=text, text=text)
    for text in ("The nurse ran because", "The clerk smiled", "A very old judge left because")
)
numbers = st.lists(st.floats(-100, 100), min_size=3, max_size=3)


@pytest.mark.thorough
@given(numbers, numbers)
def test_influence_is_in_range(before: list[float], after: list[float]) -> None:
    first, second = torch.tensor(before), torch.tensor(after)
    if first.norm() > 1e-3 and second.norm() > 1e-3:
        assert 0 <= block_influence(first, second).item() <= 2


def test_influence_by_hand() -> None:
    before = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    after = torch.tensor([[3.0, 0.0], [-2.0, 0.0], [0.0, 5.0], [1.0, 0.0], [1.0, 0.0]])
    influence = block_influence(before, after)
    assert influence[:4].tolist() == pytest.approx([0.0, 2.0, 1.0, 1 - math.sqrt(0.5)])
    assert math.isnan(influence[4].item())


def plainly(model: LanguageModel, *, skip: int = 1) -> np.ndarray:
    """The slow way: one prompt at a time, from the library's hidden states; [block]."""
    total, count = 0.0, 0
    for ids in prompt_ids(model, [prompt.text for prompt in PROMPTS]):
        with torch.no_grad():
            states = model.module(
                input_ids=torch.tensor([ids]), output_hidden_states=True
            ).hidden_states
        rows = torch.stack(states)[:, 0, skip:].double()  # [state, token, feature]
        total = total + (1 - torch.cosine_similarity(rows[:-1], rows[1:], dim=-1)).sum(-1).numpy()
        count += rows.shape[1]
    return total / count


@pytest.mark.thorough
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_scores_equal_those_of_transformers_hidden_states(family: str) -> None:
    model = tiny_model(family, blocks=3)
    expected = plainly(model)
    ours = BlockInfluence().locate(model, PROMPTS, seed=0).scores
    normed = BlockInfluence(post_norm_last=True).locate(model, PROMPTS, seed=0).scores
    assert ours[:2] == pytest.approx(expected[:2], abs=1e-5)
    assert ours[2] != pytest.approx(expected[2], abs=1e-4)
    assert normed == pytest.approx(expected, abs=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_in_range_and_inside_their_intervals(family: str) -> None:
    ranking = BlockInfluence(draws=100).locate(tiny_model(family, blocks=3), PROMPTS, seed=0)
    for low, score, high in zip(ranking.low, ranking.scores, ranking.high, strict=True):
        assert 0 <= low <= score <= high <= 2
    assert ranking.prompts == 3
    assert ranking.unit == "1 - cosine"


def test_a_masked_model_has_no_final_norm_to_read_after() -> None:
    with pytest.raises(ModelError, match="must have a norm"):
        BlockInfluence(post_norm_last=True).locate(tiny_model("bert"), PROMPTS, seed=0)


def test_the_first_token_counts_only_when_asked() -> None:
    model = tiny_model(blocks=3)
    option = BlockInfluence(first_token=True, post_norm_last=True)
    ranking = option.locate(model, PROMPTS, seed=0)
    assert ranking.scores == pytest.approx(plainly(model, skip=0), abs=1e-5)
    assert len(ranking.notes) == 2


def test_the_sum_is_the_mean_times_the_tokens() -> None:
    model = tiny_model(blocks=3)
    tokens = sum(len(prompt.text) for prompt in PROMPTS)
    mean = BlockInfluence().locate(model, PROMPTS, seed=0).scores
    total = BlockInfluence(reduce="sum").locate(model, PROMPTS, seed=0)
    assert total.scores == pytest.approx([score * tokens for score in mean])
    assert total.unit == "1 - cosine, summed over tokens"
    each = BlockInfluence(reduce="prompt_sum").locate(model, PROMPTS, seed=0)
    assert each.scores == pytest.approx([score / len(PROMPTS) for score in total.scores])
    assert each.unit == "1 - cosine, summed over a prompt's tokens"
    alone = BlockInfluence(reduce="sum").locate(model, PROMPTS[:1], seed=0)
    assert (
        alone.scores
        == BlockInfluence(reduce="prompt_sum").locate(model, PROMPTS[:1], seed=0).scores
    )


def test_scores_of_the_last_token() -> None:
    model = tiny_model(blocks=2)
    expected = np.zeros(2)
    for ids in prompt_ids(model, [prompt.text for prompt in PROMPTS]):
        with torch.no_grad():
            states = model.module(
                input_ids=torch.tensor([ids]), output_hidden_states=True
            ).hidden_states
        rows = torch.stack(states)[:, 0, -1]
        expected += (1 - torch.cosine_similarity(rows[:-1], rows[1:], dim=-1)).numpy() / 3
    ranking = BlockInfluence(reduce="last_token", post_norm_last=True).locate(
        model, PROMPTS, seed=0
    )
    assert ranking.scores == pytest.approx(expected, abs=1e-5)


def test_draws_and_seed_change_the_interval_alone() -> None:
    model = tiny_model(blocks=2)
    first = BlockInfluence().locate(model, PROMPTS, seed=0)
    assert first == BlockInfluence().locate(model, PROMPTS, seed=0)
    single = BlockInfluence(draws=1).locate(model, PROMPTS, seed=3)
    assert single.scores == first.scores
    assert all(low == score or high == score for low, score, high in
               zip(single.low, single.scores, single.high, strict=True))  # fmt: skip


def test_batching_and_order_do_not_matter() -> None:
    model = tiny_model(blocks=2)
    small = LanguageModel(
        module=model.module, tokenizer=model.tokenizer, identity="small", batch_tokens=1
    )
    expected = BlockInfluence().locate(model, PROMPTS, seed=0).scores
    for other in (
        BlockInfluence().locate(small, PROMPTS, seed=0),
        BlockInfluence().locate(model, PROMPTS[::-1], seed=0),
    ):
        assert other.scores == pytest.approx(expected, abs=1e-6)


def test_a_zero_or_nan_state_is_an_error() -> None:
    model = tiny_model(blocks=2)
    with torch.no_grad():
        next(iter(list(blocks(model.module))[1].parameters())).fill_(torch.nan)
    with pytest.raises(ModelError, match="at block 1 of tiny-llama"):
        BlockInfluence().locate(model, PROMPTS, seed=0)
    silent = tiny_model(blocks=2)
    with torch.no_grad():
        silent.module.get_input_embeddings().weight.zero_()
    with pytest.raises(ModelError, match="at block 0 of tiny-llama"):
        BlockInfluence().locate(silent, PROMPTS, seed=0)


def test_no_prompts_or_no_tokens_are_refused() -> None:
    with pytest.raises(RecipeError, match="must have prompts, got 0"):
        BlockInfluence().locate(tiny_model(), (), seed=0)
    with pytest.raises(RecipeError, match="must have a token to read"):
        BlockInfluence().locate(tiny_model(bos="none"), (Prompt(id="a", text="a"),), seed=0)
