"""Name the block instead of locating it.

LFTF reports the last block as the most related to gender bias; block influence need not rank
it first (it says nothing about gender, methods page). With this locator the claim can be tried,
and any other block with it.
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.conclusions import Ranking
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.base import Locator
from equipoise.models.anatomy import blocks
from equipoise.records import OPTIONS, Prompt


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class FixedBlock(Locator):
    """Ranks the named block first with score 1; the others follow in the model's order with 0.

    It measures nothing: scores and intervals only say which block was asked for.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "LFTF (anonymous ACL submission), section 4: the last block"

    block: int = -1  # counted from 0; negative numbers count from the end

    def locate(self, model: LanguageModel, prompts: Sequence[Prompt], *, seed: int) -> Ranking:  # noqa: ARG002
        """Rank without reading. Raises `RecipeError` when the model has no such block."""
        count = len(blocks(model.module))
        if not -count <= self.block < count:
            raise RecipeError(
                f"fixed_block.block must be from {-count} to {count - 1} in {model.identity}, "
                f"got {self.block}; name a block that it has"
            )
        scores = tuple(float(block == self.block % count) for block in range(count))
        return Ranking(
            locator="fixed_block",
            scores=scores,
            low=scores,
            high=scores,
            prompts=len(prompts),
            unit="1 where asked for",
            notes=("the block was named, not found",),
        )
