"""A control: blocks in random order. A locator must do better than this."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from equipoise.conclusions import Ranking
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.base import Locator
from equipoise.models.anatomy import blocks
from equipoise.records import OPTIONS, Prompt


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class RandomBlock(Locator):
    """Scores drawn uniformly from [0, 1); the seed alone decides, the prompts do not matter."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own control"

    def locate(self, model: LanguageModel, prompts: Sequence[Prompt], *, seed: int) -> Ranking:
        """A random order of the blocks; each interval is the whole range, [0, 1]."""
        count = len(list(blocks(model.module)))
        scores = tuple(np.random.default_rng(seed).random(count).tolist())
        return Ranking(
            locator="random_block",
            scores=scores,
            low=(0.0,) * count,
            high=(1.0,) * count,
            prompts=len(prompts),
            unit="drawn by lot",
            notes=("a control: the scores say nothing of the model",),
        )
