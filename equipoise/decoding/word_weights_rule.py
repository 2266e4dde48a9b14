"""Word weights: make each word of a table less likely, by as many nats as the table says.

The rule of the mitigation `word_table`. It reads no other context: what it changes depends on the
tokens of the word that is being written alone, and a text costs what it costs without it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final, final

import torch
from jaxtyping import Float
from pydantic import BaseModel, FiniteFloat, ValidationError
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from equipoise.errors import ModelError
from equipoise.models.decoding_rule import Context, DecodingRule
from equipoise.models.tokenization import Ids, Marked, Tokens, encode
from equipoise.records import JSON

_BEFORE: Final = "The"  # some tokenizers cut a word otherwise at the beginning of a text


class _Settings(BaseModel):
    weights: dict[str, FiniteFloat]
    strength: FiniteFloat


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WordWeights(DecodingRule):
    """Each word's log-probability less strength times its weight, then normalized.

    A word is lowered at the token that completes it, behind a space and in lower case or
    capitalized. Tokens that complete it may begin a longer word: that is lowered as much, or by
    its own weight where it has any. A word that begins a text is left alone.
    """

    kind: ClassVar[str] = "word_weights"
    reweights: ClassVar[bool] = True

    weights: tuple[tuple[str, float], ...]  # words in lower case, nats; below 0: raised
    strength: float = 1.0  # lambda; 0: nothing changes

    @property
    def rows(self) -> int:
        """The text's own alone."""
        return 1

    @property
    def neutral(self) -> bool:
        """Without strength or weights."""
        return self.strength == 0 or not any(weight for _, weight in self.weights)

    @property
    def settings(self) -> Mapping[str, JSON]:
        """Weights by word, and the strength."""
        return {"weights": dict(self.weights), "strength": self.strength}

    @property
    def record(self) -> Mapping[str, JSON]:
        """The hash of the weights, how many words they are of, and the strength."""
        digest = hashlib.sha256(json.dumps(self.weights).encode()).hexdigest()
        return {
            "weights_sha256": digest,
            "words": len(self.weights),
            "strength": self.strength,
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, JSON]) -> "WordWeights":
        """As `settings` gave them. Raises `ModelError`."""
        try:
            stored = _Settings.model_validate(settings)
        except ValidationError as error:
            raise ModelError(
                "word weights must be numbers by word, and a strength, got "
                f"{sorted(settings)} ({error.error_count()} wrong); save the edit again"
            ) from error
        return cls(weights=tuple(stored.weights.items()), strength=stored.strength)

    def contexts(
        self,
        tokenizer: PreTrainedTokenizerBase,  # noqa: ARG002
        tokens: Tokens,  # noqa: ARG002
        prefix_lengths: Sequence[int],
    ) -> list[tuple[Context, ...]]:
        """None beside the text's own."""
        return [()] * len(prefix_lengths)

    def adjusted(self, logprobs: Float[Tensor, "row place token"]) -> Float[Tensor, "place token"]:
        """Row 0, which has no company."""
        return logprobs[0]

    def reweighted(
        self,
        logprobs: Float[Tensor, "place token"],
        tokenizer: PreTrainedTokenizerBase,
        contexts: Sequence[Ids],
    ) -> Float[Tensor, "place token"]:
        """Lower the words that a next token would complete."""
        endings = _endings(self, tokenizer)
        longest = max(map(len, endings), default=0)
        lowered = torch.zeros_like(logprobs)
        for place, context in enumerate(contexts):
            for size in range(min(longest, len(context)) + 1):
                weights = endings.get(context[len(context) - size :])
                if weights is not None:
                    tokens, nats = weights
                    lowered[place, tokens.to(lowered.device)] += nats.to(lowered)
        changed = logprobs - self.strength * lowered
        return changed - changed.logsumexp(-1, keepdim=True)


@lru_cache(maxsize=16)  # asked for at every few places of a text
def _endings(
    rule: WordWeights, tokenizer: PreTrainedTokenizerBase
) -> dict[Ids, tuple[Tensor, Tensor]]:
    """By the tokens that a word has so far, those that complete it, and by how many nats."""
    forms = {form: weight for word, weight in rule.weights for form in (word.capitalize(), word)}
    marks = [Marked(f"{_BEFORE} {form}", len(_BEFORE), len(f"{_BEFORE} {form}")) for form in forms]
    weights: dict[Ids, float] = {}
    for tokens, weight in zip(
        encode(tokenizer, marks, specials=False), forms.values(), strict=True
    ):
        ids = tuple(tokens.ids[position] for position in tokens.marked)
        # a word that the tokenizer cannot write has the token of all such words
        if tokenizer.unk_token_id not in ids:
            weights[ids] = weight
    endings: dict[Ids, dict[int, float]] = {}
    for ids, weight in weights.items():
        # what a shorter word was lowered by on the way to this word counts towards its own
        before = next(
            (weights[ids[:size]] for size in range(len(ids) - 1, 0, -1) if ids[:size] in weights),
            0.0,
        )
        endings.setdefault(ids[:-1], {})[ids[-1]] = weight - before
    return {
        ids: (torch.tensor([*last]), torch.tensor([*last.values()], dtype=torch.float64))
        for ids, last in endings.items()
    }
