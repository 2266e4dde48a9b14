"""Locator: in which parts of a model is the bias?"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from equipoise.conclusions import Ranking
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Prompt
from equipoise.stats.resample import percentile_interval

Table: TypeAlias = NDArray[np.float64]  # [prompt, component], or [resample, component]


class Locator(ABC):
    """Ranks the components of a model; a subclass is a frozen dataclass of its options."""

    version: ClassVar[str]
    paper: ClassVar[str]

    @abstractmethod
    def locate(self, model: LanguageModel, prompts: Sequence[Prompt], *, seed: int) -> Ranking:
        """Score every component of a kind (all blocks, or all heads) on the prompts.

        Raises `ModelError` when a hidden state is zero or not finite.
        """


def resample_counts(prompts: int, *, draws: int, seed: int) -> NDArray[np.int64]:
    """How often each prompt is drawn: [resample, prompt]; every row sums to `prompts`."""
    shares = np.full(prompts, 1 / prompts)
    return np.random.default_rng(seed).multinomial(prompts, shares, size=draws)


def bounds(
    scores: Sequence[float], resampled: Table, *, prompts: int, within: tuple[float, float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Lower and upper ends of each component's 95 % interval, from its scores in the resamples.

    `resampled`: [resample, component]. `within`: the range of a score.
    """
    intervals = [
        percentile_interval(score, column, clusters=prompts, within=within)
        for score, column in zip(scores, resampled.T, strict=True)
    ]
    return tuple(low for low, _, _ in intervals), tuple(high for _, high, _ in intervals)
