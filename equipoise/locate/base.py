"""Locator: where in a model does the bias sit?"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from equipoise.models.language_model import LanguageModel
from equipoise.records import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Blocks with their scores; a larger score means more of what the locator looks for."""

    locator: str
    scores: tuple[float, ...]  # one a block, in the model's order
    low: tuple[float, ...]  # 95 % interval of each score, over prompts
    high: tuple[float, ...]
    prompts: int
    unit: str
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[int, ...]:
        """Block numbers, from the largest score to the smallest; ties in the model's order."""
        return tuple(sorted(range(len(self.scores)), key=lambda block: -self.scores[block]))


class Locator(ABC):
    """Ranks the blocks of a model; a subclass is a frozen dataclass of its options."""

    version: ClassVar[str]
    paper: ClassVar[str]

    @abstractmethod
    def locate(self, model: LanguageModel, prompts: Sequence[Prompt], *, seed: int) -> Ranking:
        """Score every block on the prompts.

        Raises `ModelError` when a hidden state is zero or not finite.
        """
