"""Batches: true distributions as targets, and words that are one token."""

from collections import Counter

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from equipoise.planted.batches import Batch, batches, encode, train_tokenizer
from equipoise.planted.corpus import quotas
from equipoise.planted.world import find_world

TEXTS = ["The cat sat."] * 3 + ["The cat ran."] + ["A dog."] * 4


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer([text for text, *_ in quotas(find_world("default"))])


@pytest.mark.thorough
def test_every_word_of_a_world_is_one_token(tokenizer: PreTrainedTokenizerBase) -> None:
    texts = {text for text, *_ in quotas(find_world("strength=0,seed=3"))}
    words = {word for text in texts for word in text.removesuffix(".").split()[1:]}
    split = [word for word in words if len(tokenizer.encode(" " + word)) != 1]
    assert not split
    assert len(tokenizer.encode(" he")) == len(tokenizer.encode(" she")) == 1


@pytest.mark.parametrize("text", ["Ünïcode 漢字 🙂", "  two  spaces\n", "zxqj", "{}'\"", ""])
def test_any_text_is_decoded_as_it_was(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_same_texts_make_the_same_tokenizer() -> None:
    first, second = train_tokenizer(TEXTS), train_tokenizer(TEXTS[::-1])
    assert first.get_vocab() == second.get_vocab()
    assert encode(first, ["A dog."]) == encode(second, ["A dog."])


def shares_after(batch: Batch, row: int, position: int) -> dict[int, float]:
    ids = batch.next_ids[row, position].tolist()
    shares = batch.shares[row, position].tolist()
    return {token: share for token, share in zip(ids, shares, strict=True) if share > 0}


def test_targets_are_frequencies_by_hand() -> None:
    tokenizer = train_tokenizer(TEXTS)
    cat = encode(tokenizer, ["The cat sat."])[0]
    ran = encode(tokenizer, ["The cat ran."])[0]
    assert len(cat) == 6  # <s> The cat sat . </s>
    drawn = batches(tokenizer, TEXTS, sentences=8, size=4, seed=0)
    assert sum(len(batch.ids) for batch in drawn) == 8
    row = next(b for b in drawn if tuple(b.ids[0].tolist()) in (cat, ran))
    assert shares_after(row, 0, 0) == {cat[1]: 0.5, encode(tokenizer, ["A dog."])[0][1]: 0.5}
    assert shares_after(row, 0, 1) == {cat[2]: 1.0}
    assert shares_after(row, 0, 2) == {cat[3]: 0.75, ran[3]: 0.25}
    for batch in drawn:
        assert torch.allclose(batch.shares.sum(-1), torch.ones(batch.shares.shape[:2]))


def test_each_text_is_drawn_in_proportion() -> None:
    tokenizer = train_tokenizer(TEXTS)
    drawn = batches(tokenizer, TEXTS, sentences=16, size=3, seed=1)
    counts = Counter(tuple(row) for batch in drawn for row in batch.ids.tolist())
    assert sorted(counts.values()) == [2, 6, 8]


def test_batches_are_reproducible() -> None:
    tokenizer = train_tokenizer(TEXTS)

    def drawn(seed: int) -> list[list[list[int]]]:
        return [
            batch.ids.tolist()
            for batch in batches(tokenizer, TEXTS, sentences=5, size=2, seed=seed)
        ]

    assert drawn(0) == drawn(0)
    assert any(drawn(0) != drawn(seed) for seed in (1, 2, 3))


def test_after_many_possible_words_the_drawn_word_is_the_target() -> None:
    texts = [f"Say {word}" for word in "abcdefghijklmnopqrst"]
    tokenizer = train_tokenizer(texts)
    (batch,) = batches(tokenizer, texts, sentences=20, size=20, seed=0)
    for row in range(20):
        assert shares_after(batch, row, 1) == {int(batch.ids[row, 2]): 1.0}
