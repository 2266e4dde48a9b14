"""A causal model read directly after fixed prompts; blocks before the first trained one cached.

What a method that trains on "which word comes next" needs: rows of prompts are encoded once, the
residual stream that goes into block `start` is computed once, and each forward runs from there to
the logits after the last token alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.queries import without_start
from equipoise.models.anatomy import blocks, head
from equipoise.models.context import context_length
from equipoise.models.hooks import block_states, read_at, replayed
from equipoise.models.start_token import pad_token_id, start_token_id
from equipoise.models.tokenization import Ids, Marked, encode


@dataclass(frozen=True, slots=True)
class WordTree:
    """Words as paths of tokens, and the contexts needed to tell their probabilities.

    `contexts`: what of a word may already stand after the prompt, the first always nothing; there
    is no other when every word is one token. `paths`: for each word its (context number, token)s.
    """

    contexts: tuple[Ids, ...]
    paths: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def single(self) -> bool:
        """Whether every word is one token."""
        return len(self.contexts) == 1

    @property
    def first_tokens(self) -> tuple[int, ...]:
        """The tokens that begin a word, ascending and each once."""
        return tuple(sorted({path[0][1] for path in self.paths}))

    def logprobs(
        self, contexts: Float[Tensor, "example context vocabulary"]
    ) -> Float[Tensor, "example word"]:
        """Log-probability of each word: the sum over its tokens of the log-probabilities given."""
        return torch.stack(
            [
                torch.stack([contexts[:, at, token] for at, token in path]).sum(0)
                for path in self.paths
            ],
            dim=-1,
        )


def word_tree(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], words: Sequence[str]
) -> WordTree:
    """How the words are spelt in tokens after these texts.

    Raises `RecipeError` when two words are alike, or a word is spelt differently after one text
    than after another (its first letters then melt with the text's last token).
    """
    spelt = [_spelling(tokenizer, texts, word) for word in words]
    for one, other in pairwise(sorted(spelt)):
        if other[: len(one)] == one:
            raise RecipeError(
                f"no word may begin another, got {list(words)} as tokens {spelt}; name other words"
            )
    contexts = tuple(
        dict.fromkeys(one[:index] for one in [(), *spelt] for index in range(len(one) or 1))
    )
    paths = tuple(
        tuple((contexts.index(one[:index]), one[index]) for index in range(len(one)))
        for one in spelt
    )
    return WordTree(contexts, paths)


def _spelling(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], word: str) -> Ids:
    alone = encode(tokenizer, [Marked(text, 0, 0) for text in texts], specials=False)
    marks = [Marked(text + word, len(text), len(text) + len(word)) for text in texts]
    found: Ids | None = None
    for text, before, both in zip(
        texts, alone, encode(tokenizer, marks, specials=False), strict=True
    ):
        ids = both.ids[len(before.ids) :]
        same = found is None or ids == found
        if both.ids[: len(before.ids)] != before.ids or not ids or not same:
            raise RecipeError(
                f"word '{word}' must be spelt in the same tokens after every prompt, got {ids} "
                f"after a prompt that ends in {text[-20:]!r}; name another word"
            )
        found = ids
    return found or ()


def prompt_ids(model: LanguageModel, texts: Sequence[str]) -> list[Ids]:
    """Token ids of texts as the model reads them: the start token once, then the text.

    A masked model's own special tokens stand around the text.
    Raises `ModelError` naming the text when it has no token or is longer than the context.
    """
    masked = model.kind == "masked"
    start = None if masked else start_token_id(model.tokenizer)
    coded = encode(model.tokenizer, [Marked(text, 0, 0) for text in texts], specials=masked)
    first: Ids = () if start is None else (start,)
    found = [first + without_start(one, start).ids for one in coded]
    limit = context_length(model.module)
    for number, ids in enumerate(found):
        most = len(ids) if limit is None else limit
        if not len(first) < len(ids) <= most:
            raise ModelError(
                f"prompt {number} must have {len(first) + 1} to {most} tokens in {model.identity}, "
                f"got {len(ids)}; leave it out or use a model with a longer context"
            )
    return found


def padded(ids: Sequence[Ids], fill: int) -> tuple[Int[Tensor, "row token"], Int[Tensor, " row"]]:
    """Rows filled up on the right, and their lengths."""
    lengths = torch.tensor([len(one) for one in ids])
    rows = torch.full((len(ids), int(lengths.max())), fill)
    for number, one in enumerate(ids):
        rows[number, : len(one)] = torch.tensor(one)
    return rows, lengths


class NextLogits(nn.Module):
    """Logits directly after prompts, asked for by number; one entry for each context of a word.

    Rows are filled up on the right, where no real token of a causal model looks. With `start`,
    blocks before it are run once, now, and gradients end at that block; without it every forward
    is a full one.
    """

    tokens: Tensor
    lengths: Tensor
    hidden: Tensor | None  # [row, token, feature]: what goes into block `start`

    def __init__(
        self,
        model: LanguageModel,
        prompts: Sequence[Ids],
        contexts: Sequence[Ids],
        *,
        start: int | None = None,
    ) -> None:
        super().__init__()
        if model.kind != "causal":
            raise ModelError(
                f"the model must be causal to be asked for the next word, {model.identity} is "
                f"{model.kind}; use a causal model"
            )
        self.module = model.module
        self.contexts = len(contexts)
        self.prompts = len(prompts)
        self.start = start
        rows = [prompt + context for prompt in prompts for context in contexts]
        tokens, lengths = padded(rows, pad_token_id(model.tokenizer))
        device = model.module.device
        self.register_buffer("tokens", tokens.to(device), persistent=False)
        self.register_buffer("lengths", lengths.to(device), persistent=False)
        self._chunk = max(1, model.batch_tokens // (tokens.shape[1] * self.contexts))
        self.hidden = None
        if start is not None:
            self.hidden = self._inputs_of_block(start)

    def forward(
        self, prompts: Int[Tensor, " prompt"]
    ) -> Float[Tensor, "prompt context vocabulary"]:
        """Logits after each context of each prompt, in float32."""
        rows = self._rows(prompts)
        if self.hidden is None or self.start is None:
            logits = self._run(rows)
        else:
            width = int(self.lengths[rows].max())
            with replayed(list(blocks(self.module)), self.start, self.hidden[rows, :width]):
                logits = self._run(rows)
        return logits.float().view(len(prompts), self.contexts, -1)

    @torch.no_grad()
    def logprobs(self) -> Float[Tensor, "prompt context vocabulary"]:
        """Log-probabilities after every prompt, without gradients, in float32."""
        numbers = torch.arange(self.prompts, device=self.tokens.device)
        parts = [self(part).log_softmax(-1) for part in torch.split(numbers, self._chunk)]
        return torch.cat(parts)

    def _rows(self, prompts: Tensor) -> Tensor:
        device = self.tokens.device
        offsets = torch.arange(self.contexts, device=device)
        return (prompts.to(device)[:, None] * self.contexts + offsets).flatten()

    def _run(self, rows: Tensor) -> Tensor:
        lengths = self.lengths[rows]
        width = int(lengths.max())
        real = torch.arange(width, device=rows.device) < lengths[:, None]
        with read_at(head(self.module), lengths[:, None] - 1):
            logits: Tensor = self.module(
                input_ids=self.tokens[rows, :width],
                attention_mask=real.long(),
                use_cache=False,
            ).logits
        return logits[:, 0]  # [row, vocabulary]

    @torch.no_grad()
    def _inputs_of_block(self, start: int) -> Tensor:
        numbers = torch.arange(self.prompts, device=self.tokens.device)
        there = list(blocks(self.module))
        parts: list[Tensor] = []
        with block_states(there[start : start + 1]) as states:
            for part in torch.split(numbers, self._chunk):
                self._run(self._rows(part))
                state = states.before[0]
                missing = self.tokens.shape[1] - state.shape[1]
                parts.append(nn.functional.pad(state, (0, 0, 0, missing)))
        return torch.cat(parts)
