"""Next-token logits of a causal model after fixed prompts; untrained first blocks are cached.

For methods that train on "which word comes next": the residual stream that goes into block `start`
is computed once, and each forward pass runs from there to the logits after the last token alone.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from equipoise.errors import ModelError, RecipeError
from equipoise.inference.forward import pad
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.queries import tokenize
from equipoise.models.anatomy import blocks, head
from equipoise.models.hooks import block_states, read_at, replayed
from equipoise.models.tokenization import Ids, Marked, encode, pad_token_id
from equipoise.training.data_parallel import shared_forward


@dataclass(frozen=True, slots=True)
class WordTree:
    """Words as paths of tokens, and the contexts needed to tell their probabilities.

    `contexts`: the beginnings of words that may already follow the prompt, the first always empty;
    the only context when every word is a single token. `paths`: per word its (context, token)s.
    """

    contexts: tuple[Ids, ...]
    paths: tuple[tuple[tuple[int, int], ...], ...]

    def logprobs(
        self, contexts: Float[Tensor, "example context vocabulary"]
    ) -> Float[Tensor, "example word"]:
        """Log-probability of each word: the sum over its tokens of the given log-probabilities."""
        words = [
            torch.stack([contexts[:, index, token] for index, token in path]).sum(0)
            for path in self.paths
        ]
        return torch.stack(words, dim=-1)

    def merged(
        self, contexts: Float[Tensor, "example context vocabulary"]
    ) -> Float[Tensor, "example symbol"]:
        """The next-token distribution with the words merged into a symbol of their common mass.

        The words' first tokens are taken out, and the mass of the words is put in as the last
        entry. When words are longer than those tokens, the rest of the tokens' mass follows in an
        entry of its own.
        """
        logprobs = contexts[:, 0]
        taken = torch.zeros(logprobs.shape[-1], dtype=torch.bool, device=logprobs.device)
        taken[[path[0][1] for path in self.paths]] = True
        mass = self.logprobs(contexts).logsumexp(-1, keepdim=True)  # [example, 1]
        parts = [logprobs[:, ~taken], mass]
        if len(self.contexts) > 1:
            tokens = logprobs[:, taken].logsumexp(-1, keepdim=True)
            smallest = torch.finfo(logprobs.dtype).tiny
            # rounding may leave nothing or less, which has no logarithm
            parts.append((tokens.exp() - mass.exp()).clamp_min(smallest).log())
        return torch.cat(parts, dim=-1)


def word_tree(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], words: Sequence[str]
) -> WordTree:
    """How the words are spelt in tokens after these texts.

    Raises `RecipeError` when two words are alike, or a word is spelt differently after a text
    than after another (its first letters then merge with the text's last token).
    """
    alone = encode(tokenizer, [Marked(text, 0, 0) for text in texts], specials=False)
    spellings: list[Ids] = []
    for word in words:
        whole = encode(tokenizer, [Marked(text + word, 0, 0) for text in texts], specials=False)
        spelling: Ids = ()
        for text, before, both in zip(texts, alone, whole, strict=True):
            ids = both.ids[len(before.ids) :]
            if both.ids[: len(before.ids)] != before.ids or not ids or spelling not in ((), ids):
                raise RecipeError(
                    f"word '{word}' must be spelt in the same tokens after every prompt, got {ids} "
                    f"after a prompt that ends in {text[-20:]!r}; name another word"
                )
            spelling = ids
        spellings.append(spelling)
    # sorted, a word that begins others stands directly before one of them
    for first, second in pairwise(sorted(spellings)):
        if second[: len(first)] == first:
            raise RecipeError(
                f"no word may begin another, got {list(words)} as tokens {spellings}; name other "
                "words"
            )
    contexts = tuple(
        dict.fromkeys(ids[:index] for ids in [(), *spellings] for index in range(len(ids) or 1))
    )
    paths = tuple(
        tuple((contexts.index(ids[:index]), token) for index, token in enumerate(ids))
        for ids in spellings
    )
    return WordTree(contexts, paths)


def prompt_ids(model: LanguageModel, texts: Sequence[str]) -> list[Ids]:
    """Token ids of texts as the model reads them: the start token once, then the text.

    A masked model's own special tokens stand around the text.
    Raises `ModelError` naming the text when it has no token or is longer than the context.
    """
    start = None if model.kind == "masked" else model.start_token_id
    front: Ids = () if start is None else (start,)
    prompts = [front + tokens.ids for tokens in tokenize(model, [Marked(t, 0, 0) for t in texts])]
    limit = model.context_length or math.inf
    for index, ids in enumerate(prompts):
        if not len(front) < len(ids) <= limit:
            raise ModelError(
                f"prompt {index} must have {len(front) + 1} to {limit} tokens in {model.identity}, "
                f"got {len(ids)}; leave it out or use a model with a longer context"
            )
    return prompts


class NextLogits(nn.Module):
    """Logits directly after prompts, chosen by index; an entry per context of a word.

    Rows are padded on the right, where no real token of a causal model attends. With `start`,
    blocks before it run once, in the constructor, and gradients end at that block. In data-parallel
    training each process runs its share of the prompts.
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
        tokens, real = pad(rows, pad_token_id(model.tokenizer))
        device = model.module.device
        self.register_buffer("tokens", tokens.to(device), persistent=False)
        self.register_buffer("lengths", real.sum(1).to(device), persistent=False)
        self._chunk = max(1, model.batch_tokens // (tokens.shape[1] * self.contexts))
        self.hidden = None if start is None else self._inputs_of_block(start)

    def forward(
        self, prompts: Int[Tensor, " prompt"]
    ) -> Float[Tensor, "prompt context vocabulary"]:
        """Logits after each context of each prompt, in float32."""
        return shared_forward(lambda share: self._logits(prompts[share]), [1] * len(prompts))

    def _logits(self, prompts: Tensor) -> Tensor:
        offsets = torch.arange(self.contexts, device=self.tokens.device)
        rows = (prompts.to(self.tokens.device)[:, None] * self.contexts + offsets).flatten()
        with ExitStack() as undo:
            if self.hidden is not None and self.start is not None:
                states = self.hidden[rows, : int(self.lengths[rows].max())]
                undo.enter_context(replayed(list(blocks(self.module)), self.start, states))
            logits = self._run(rows)
        return logits.float().view(len(prompts), self.contexts, -1)

    @torch.no_grad()
    def logprobs(self) -> Float[Tensor, "prompt context vocabulary"]:
        """Log-probabilities after every prompt, without gradients, in float32."""
        prompts = torch.arange(self.prompts, device=self.tokens.device)
        parts = [self(part).log_softmax(-1) for part in torch.split(prompts, self._chunk)]
        return torch.cat(parts)

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
        rows = torch.arange(len(self.tokens), device=self.tokens.device)
        parts: list[Tensor] = []
        with block_states(list(blocks(self.module))[start : start + 1]) as states:
            for part in torch.split(rows, self._chunk * self.contexts):
                self._run(part)
                state = states.before[0]
                missing = self.tokens.shape[1] - state.shape[1]
                parts.append(nn.functional.pad(state, (0, 0, 0, missing)))
        return torch.cat(parts)
