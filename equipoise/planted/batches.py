"""A corpus as batches of token ids, with the distribution of the next word at each position.

After a prompt the world allows several words. A sentence drawn from the corpus shows only the word
drawn; the corpus has the frequency of each. Training on that distribution has the same gradient on
average and far less noise, so a small model reaches the truth in a minute, where plain sampling
needs many passes.
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

#: With more possible next words, as after "The", the word that was drawn is the target.
_MOST_NEXT: Final = 16
_SPECIAL: Final = ("<s>", "</s>", "<pad>")
#: More than the words of any world and their pieces: every word becomes a single token.
_VOCABULARY: Final = 4096

Prefix = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Sentences of equal length, without padding."""

    ids: Int[Tensor, "sentence token"]  # from <s> on; the last is never an input
    next_ids: Int[Tensor, "sentence position choice"]  # words that may follow each position
    shares: Float[Tensor, "sentence position choice"]  # probability of each; sum to 1


def train_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerBase:
    """A byte-level BPE tokenizer in which every word of the texts is a single token.

    Words include the space before them; any other text is split into pieces, at worst bytes.
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
    sentences = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return [(tokenizer.bos_token_id, *ids, tokenizer.eos_token_id) for ids in sentences]


def batches(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    sentences: int,
    size: int,
    seed: int,
) -> list[Batch]:
    """`sentences` of the texts in batches; no text repeats before all have been drawn.

    The distribution of next words is that of all texts, not of those drawn.
    """
    counts = Counter(texts)
    ids = dict(zip(counts, encode(tokenizer, list(counts)), strict=True))
    following = _count_following({ids[text]: count for text, count in counts.items()})
    rng = np.random.default_rng(seed)
    rounds = [rng.permutation(len(texts)) for _ in range(-(-sentences // len(texts)))]
    drawn = [texts[index] for index in np.concatenate(rounds)[:sentences]]
    targets = {text: _targets(ids[text], following) for text in dict.fromkeys(drawn)}
    by_length: dict[int, list[str]] = defaultdict(list)
    for text in drawn:
        by_length[len(ids[text])].append(text)
    rows = [
        alike[start : start + size]
        for _, alike in sorted(by_length.items())
        for start in range(0, len(alike), size)
    ]
    return [
        Batch(
            ids=torch.tensor([ids[text] for text in rows[index]]),
            next_ids=torch.from_numpy(np.stack([targets[text][0] for text in rows[index]])),
            shares=torch.from_numpy(np.stack([targets[text][1] for text in rows[index]])),
        )
        for index in rng.permutation(len(rows))
    ]


def _count_following(counts: dict[Prefix, int]) -> dict[Prefix, Counter[int]]:
    """How often each token follows each prefix."""
    following: dict[Prefix, Counter[int]] = defaultdict(Counter)
    for ids, count in counts.items():
        for index in range(1, len(ids)):
            following[ids[:index]][ids[index]] += count
    return following


def _targets(
    ids: Prefix, following: dict[Prefix, Counter[int]]
) -> tuple[
    np.ndarray[tuple[int, int], np.dtype[np.int64]],
    np.ndarray[tuple[int, int], np.dtype[np.float32]],
]:
    choices = np.zeros((len(ids) - 1, _MOST_NEXT), dtype=np.int64)
    shares = np.zeros((len(ids) - 1, _MOST_NEXT), dtype=np.float32)
    for index in range(1, len(ids)):
        counts = following[ids[:index]]
        if len(counts) > _MOST_NEXT:
            counts = Counter({ids[index]: 1})
        choices[index - 1, : len(counts)] = list(counts)
        shares[index - 1, : len(counts)] = np.array(list(counts.values())) / counts.total()
    return choices, shares
