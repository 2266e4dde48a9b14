"""Locator: in which parts of a model is the bias?"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from equipoise.conclusions import Ranking
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Prompt
from equipoise.stats.resample import percentile_interval

Table: TypeAlias = NDArray[np.float64]  # [prompt, component]


class Locator(ABC):
    """Ranks the components of a model; a subclass is a frozen dataclass of its options."""

    version: ClassVar[str]
    paper: ClassVar[str]
    #: What of a supply it ranks on; questions are those of an association, about {target}.
    reads: ClassVar[Literal["prompts", "questions"]] = "prompts"
    taught_by: ClassVar[str] = "genbias"  # the supply that it ranks on unless another is named

    @abstractmethod
    def locate(self, model: LanguageModel, prompts: Sequence[Prompt], *, seed: int) -> Ranking:
        """Score every component of a kind (all blocks, or all heads) on the prompts.

        Raises `ModelError` when a hidden state is zero or not finite.
        """


def bootstrap_scores(
    totals: Table, counts: Table | None, *, draws: int, seed: int, within: tuple[float, float]
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Each component's score, and the lower and upper ends of their intervals.

    `totals`: [prompt, component], their sum is the score; with `counts`, [prompt, 1], it is divided
    by the sum of these. The ends are those of a 95 % percentile interval over `draws` resamples of
    the prompts. `within`: the range of a score.
    """
    prompts = len(totals)
    shares = np.full(prompts, 1 / prompts)
    # counts of prompts, not their indices, so that all resamples are a matrix product
    resamples = np.random.default_rng(seed).multinomial(prompts, shares, size=draws)
    scores, resampled = totals.sum(0), resamples @ totals
    if counts is not None:
        scores, resampled = scores / counts.sum(0), resampled / (resamples @ counts)
    intervals = [
        percentile_interval(score, column, clusters=prompts, within=within)
        for score, column in zip(scores.tolist(), resampled.T, strict=True)
    ]
    low, high, _ = zip(*intervals, strict=True)
    return tuple(scores.tolist()), low, high
