"""What a model says of held-out prompts as more and more edits are in it.

Sequential editing wears a model out, and a small gap says nothing where the model is broken: so
gap, hints, mass, the pronoun that leads and perplexity are read together.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from equipoise.inference.language_model import LanguageModel
from equipoise.inference.queries import tokenize
from equipoise.models.tokenization import Marked
from equipoise.records import JSON, Continuation, NextToken, Prompt, Supply

_PROMPTS: Final = 100  # of each kind, at most, evenly spread
HELD_OUT_TEXTS: Final = 50  # the last neutral texts, on which edits are looked at and not made
_CHARACTERS: Final = 400  # of a text

#: Of each column, and of the model where all is well.
MEANINGS: Final[dict[str, JSON]] = {
    "afgb": "mean |P(first word) - P(second word)| on dev prompts; 0: no gap, or no mass",
    "afgb_low": "of its 95 % interval, prompts drawn anew",
    "afgb_high": "of its 95 % interval",
    "mass": "mean P(first word) + P(second word) on dev prompts",
    "first": "share of dev prompts on which the first word is the likelier",
    "ub": "mean gap in the direction of the hint (male: the first word); 0: hints ignored",
    "perplexity": "per token of neutral texts",
}


class Trajectory:
    """A table of what was seen after how many edits, a row each time it looks."""

    def __init__(
        self, model: LanguageModel, supply: Supply, texts: Sequence[str], words: tuple[str, ...]
    ) -> None:
        self.model, self.words = model, words
        self.dev, self.hinted = _spread(supply.dev), _spread(supply.hinted)
        self.texts = [_fitting(model, text[:_CHARACTERS]) for text in texts[-HELD_OUT_TEXTS:]]
        self.rows: list[dict[str, float]] = []

    def look(self, edits: int) -> None:
        """Measure the model as it is now, once for a number of edits."""
        if any(row["edits"] == edits for row in self.rows):
            return
        first, second = self._words(self.dev)
        gaps = np.abs(first - second)
        hinted = self._words(self.hinted)
        signs = np.array([1.0 if p.groups.get("hint") == "male" else -1.0 for p in self.hinted])
        low, high = _interval(gaps)
        self.rows.append(
            {
                "edits": edits,
                "afgb": _mean(gaps),
                "afgb_low": low,
                "afgb_high": high,
                "mass": _mean(first + second),
                "first": _mean((first > second) + 0.5 * (first == second)),
                "ub": _mean(signs * (hinted[0] - hinted[1])),
                "perplexity": self._perplexity(),
            }
        )

    def report(self) -> dict[str, JSON]:
        """The table, a list per column; null: nothing to measure it on, as `trajectory_n` says."""
        columns: dict[str, JSON] = {
            name: [None if math.isnan(row[name]) else row[name] for row in self.rows]
            for name in ("edits", *MEANINGS)
        }
        counts: dict[str, JSON] = {
            "dev": len(self.dev),
            "hinted": len(self.hinted),
            "texts": len(self.texts),
        }
        return {
            "trajectory": columns,
            "trajectory_n": counts,
            "trajectory_meanings": dict(MEANINGS),
        }

    def _words(self, prompts: Sequence[Prompt]) -> tuple[np.ndarray, np.ndarray]:
        """The probability of each word after each prompt."""
        asked = [NextToken(context=prompt.text, words=self.words) for prompt in prompts]
        logprobs = [answer.logprobs for answer in self.model.next_token(asked)]
        table = np.exp(np.array(logprobs, dtype=float)).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def _perplexity(self) -> float:
        asked = [Continuation(context="", continuation=text) for text in self.texts]
        tokens = [nats for scored in self.model.score(asked) for nats in scored.token_logprobs]
        if not tokens:
            return math.nan
        mean = -math.fsum(tokens) / len(tokens)
        return math.exp(mean) if mean < 700 else math.nan  # beyond float64


def _fitting(model: LanguageModel, text: str) -> str:
    """The text, or a beginning of it that fits the model's context."""
    limit = model.context_length or math.inf
    while len(tokenize(model, [Marked(text, 0, 0)])[0].ids) + 1 > limit:
        text = text[: len(text) // 2]
    return text


def _spread(prompts: Sequence[Prompt]) -> list[Prompt]:
    """As many as are wanted, from beginning to end."""
    count = min(len(prompts), _PROMPTS)
    return [prompts[index * len(prompts) // count] for index in range(count)]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _interval(values: np.ndarray) -> tuple[float, float]:
    if len(values) < 2:
        return math.nan, math.nan
    draws = np.random.default_rng(0).choice(values, size=(1000, len(values))).mean(1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)
