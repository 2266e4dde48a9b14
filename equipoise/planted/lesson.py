"""Lesson: a corpus as batches of token ids, each position with the words that may truly follow.

After a prompt the world allows several words. A sentence drawn from the corpus shows one of them;
the corpus says how often each comes. Training on that distribution in place of the one word drawn
has the same gradient on average and far less noise, so a small model reaches the truth in a
minute, where plain sampling needs many passes.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

#: Beyond so many next words, as after "The", the one that was drawn is the target.
_MOST_NEXT: Final = 16
_SPECIAL: Final = ("<s>", "</s>", "<pad>")
#: More than the words of any world and their pieces: every word becomes one token.
_VOCABULARY: Final = 4096

Prefix = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Sentences of equal length, without padding."""

    ids: Int[Tensor, "sentence token"]  # from <s> on; a position less, the last is never an input
    next_ids: Int[Tensor, "sentence position choice"]  # words that may follow each position
    shares: Float[Tensor, "sentence position choice"]  # of each; sum to 1


def train_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerBase:
    """A byte-level BPE tokenizer in which every word of the texts is one token.

    Words keep the space before them; any other text is spelt in pieces, at worst in bytes.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        min_frequency=1,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(set(texts)), trainer)
    start, end, pad = _SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=start, eos_token=end, pad_token=pad
    )


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[Prefix]:
    """Token ids of sentences, from <s> to </s>."""
    coded = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return [(tokenizer.bos_token_id, *ids, tokenizer.eos_token_id) for ids in coded]


def batches(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    sentences: int,
    size: int,
    seed: int,
) -> list[Batch]:
    """`sentences` of the texts, drawn without repetition as far as they last, in batches.

    The distribution of the words that follow is that of all texts, not of those drawn.
    """
    counts = Counter(texts)
    coded = dict(zip(counts, encode(tokenizer, list(counts)), strict=True))
    follow = _follow({coded[text]: count for text, count in counts.items()})
    rng = np.random.default_rng(seed)
    rounds = [rng.permutation(len(texts)) for _ in range(-(-sentences // len(texts)))]
    drawn = [texts[k] for k in np.concatenate(rounds)[:sentences]]
    targets = {text: _targets(coded[text], follow) for text in dict.fromkeys(drawn)}
    by_length: dict[int, list[str]] = defaultdict(list)
    for text in drawn:
        by_length[len(coded[text])].append(text)
    rows = [
        chosen[index : index + size]
        for _, chosen in sorted(by_length.items())
        for index in range(0, len(chosen), size)
    ]
    return [
        Batch(
            ids=torch.tensor([coded[text] for text in rows[k]]),
            next_ids=torch.from_numpy(np.stack([targets[text][0] for text in rows[k]])),
            shares=torch.from_numpy(np.stack([targets[text][1] for text in rows[k]])),
        )
        for k in rng.permutation(len(rows))
    ]


def _follow(counts: dict[Prefix, int]) -> dict[Prefix, Counter[int]]:
    """How often each token follows each beginning."""
    found: dict[Prefix, Counter[int]] = defaultdict(Counter)
    for ids, count in counts.items():
        for index in range(1, len(ids)):
            found[ids[:index]][ids[index]] += count
    return found


def _targets(
    ids: Prefix, follow: dict[Prefix, Counter[int]]
) -> tuple[
    np.ndarray[tuple[int, int], np.dtype[np.int64]],
    np.ndarray[tuple[int, int], np.dtype[np.float32]],
]:
    choices = np.zeros((len(ids) - 1, _MOST_NEXT), dtype=np.int64)
    shares = np.zeros((len(ids) - 1, _MOST_NEXT), dtype=np.float32)
    for index in range(1, len(ids)):
        found = follow[ids[:index]]
        if len(found) > _MOST_NEXT:
            found = Counter({ids[index]: 1})
        choices[index - 1, : len(found)] = list(found)
        shares[index - 1, : len(found)] = np.array(list(found.values())) / found.total()
    return choices, shares
