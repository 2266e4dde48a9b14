"""Locator: where in a model does the bias sit?"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from equipoise.conclusions import Ranking
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Prompt
from equipoise.stats.resample import percentile_interval

Table: TypeAlias = NDArray[np.float64]  # [prompt, block], or [resample, block]


class Locator(ABC):
    """Ranks the blocks of a model; a subclass is a frozen dataclass of its options."""

    version: ClassVar[str]
    paper: ClassVar[str]

    @abstractmethod
    def locate(self, model: LanguageModel, prompts: Sequence[Prompt], *, seed: int) -> Ranking:
        """Score every block on the prompts.

        Raises `ModelError` when a hidden state is zero or not finite.
        """


def drawn_prompts(prompts: int, *, draws: int, seed: int) -> NDArray[np.int64]:
    """How often each prompt is in each bootstrap resample: [resample, prompt], rows sum to all."""
    shares = np.full(prompts, 1 / prompts)
    return np.random.default_rng(seed).multinomial(prompts, shares, size=draws)


def bounds(
    scores: Sequence[float], drawn: Table, *, prompts: int, within: tuple[float, float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Lower and upper ends of each block's 95 % interval, from its scores in the resamples.

    `drawn`: [resample, block]. `within`: the values that a score can have.
    """
    found = [
        percentile_interval(score, column, clusters=prompts, within=within)
        for score, column in zip(scores, drawn.T, strict=True)
    ]
    return tuple(low for low, _, _ in found), tuple(high for _, high, _ in found)
