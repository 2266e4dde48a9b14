"""Logits after prompts: whatever the padding, the batch or the cache, those of a plain forward."""

import pytest
import torch

from equipoise.errors import ModelError, RecipeError
from equipoise.testing import CAUSAL_FAMILIES, tiny_model, tiny_tokenizer
from equipoise.training.next_token_logits import NextLogits, prompt_ids, word_tree

TEXTS = ("The nurse ran because", "A clerk", "The very old baker smiled because")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("family", "start"),
    [*((family, 1) for family in CAUSAL_FAMILIES), ("llama", 0), ("llama", None), ("gpt2", None)],
)
def test_equal_to_plain_forwards(family: str, start: int | None) -> None:
    model = tiny_model(family)
    contexts = ((), (10,), (10, 11))
    ids = prompt_ids(model, TEXTS)
    reader = NextLogits(model, ids, contexts, start=start)
    with torch.no_grad():
        logits = reader(torch.tensor([2, 0, 1]))
        for place, prompt in enumerate((2, 0, 1)):
            for number, context in enumerate(contexts):
                row = torch.tensor([ids[prompt] + context])
                plain = model.module(input_ids=row).logits[0, -1]
                assert torch.allclose(logits[place, number], plain, atol=1e-5)


def test_logprobs_are_of_every_prompt_and_sum_to_one() -> None:
    model = tiny_model()
    reader = NextLogits(model, prompt_ids(model, TEXTS), ((), (5,)))
    logprobs = reader.logprobs()
    assert logprobs.shape[:2] == (3, 2)
    assert torch.allclose(logprobs.exp().sum(-1), torch.ones(3, 2), atol=1e-5)


def test_the_start_token_stands_once_in_front() -> None:
    plain = prompt_ids(tiny_model(bos="bos"), TEXTS)
    added = prompt_ids(tiny_model(bos="added"), TEXTS)
    assert plain == added
    assert all(ids[0] == 1 and 1 not in ids[1:] for ids in plain)


def test_without_a_start_token_there_is_none() -> None:
    assert [ids[1:] for ids in prompt_ids(tiny_model(bos="bos"), TEXTS)] == prompt_ids(
        tiny_model(bos="none"), TEXTS
    )


@pytest.mark.parametrize("text", ["", "x" * 200])
def test_an_empty_or_too_long_prompt_is_named(text: str) -> None:
    with pytest.raises(ModelError, match="prompt 1 must have 2 to "):
        prompt_ids(tiny_model(), ("The nurse", text))


def test_a_masked_model_is_refused() -> None:
    with pytest.raises(ModelError, match="must be causal"):
        NextLogits(tiny_model("bert"), [(1, 2)], ((),))


def test_words_of_several_tokens_are_products() -> None:
    model = tiny_model()
    tree = word_tree(model.tokenizer, TEXTS, (" he", " she"))
    assert len(tree.contexts) == 5  # nothing, " ", " h", " s", " sh"
    logprobs = NextLogits(model, prompt_ids(model, TEXTS), tree.contexts).logprobs()
    words = tree.logprobs(logprobs)
    for row, text in enumerate(TEXTS):
        for column, word in enumerate((" he", " she")):
            (ids,) = prompt_ids(model, [text + word])
            with torch.no_grad():
                full = model.module(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            positions = range(len(ids) - len(word), len(ids))
            expected = sum(full[index - 1, ids[index]].item() for index in positions)
            assert words[row, column].item() == pytest.approx(expected, abs=1e-4)


def test_words_of_one_token_need_no_context() -> None:
    tree = word_tree(tiny_tokenizer(), TEXTS, ("a", "b", "c"))
    assert tree.contexts == ((),)
    assert [len(path) for path in tree.paths] == [1, 1, 1]


def test_a_word_that_begins_another_is_refused() -> None:
    with pytest.raises(RecipeError, match="no word may begin another"):
        word_tree(tiny_tokenizer(), TEXTS, (" he", " hers", " she"))


def test_a_word_without_tokens_is_refused() -> None:
    with pytest.raises(RecipeError, match="word ''"):
        word_tree(tiny_tokenizer(), TEXTS, ("", " she"))
