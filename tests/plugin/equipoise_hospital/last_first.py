"""Rank the last block first, without looking."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.conclusions import Ranking
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.base import Locator
from equipoise.models.anatomy import blocks
from equipoise.records import OPTIONS, Prompt


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class LastFirst(Locator):
    """Scores each block by its number."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"

    def locate(self, model: LanguageModel, prompts: Sequence[Prompt], *, seed: int) -> Ranking:  # noqa: ARG002
        """0, 1, 2, … in the model's order, whatever the prompts are."""
        scores = tuple(float(number) for number in range(len(blocks(model.module))))
        return Ranking(
            locator="last_first",
            scores=scores,
            low=scores,
            high=scores,
            prompts=len(prompts),
            unit="blocks below",
        )
