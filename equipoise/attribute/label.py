"""What is known: rows that are labelled biased. The mark that others are measured against."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from equipoise.attribute.base import Attributor, RowScores
from equipoise.attributions import Attribution
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import OPTIONS
from equipoise.rows import Probe, TrainingRow, blocks_of

_BLOCK = 1024  # rows at a time


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Label(Attributor):
    """1 for a row that is labelled biased, 0 for another; none for a row without a label.

    Not a baseline: whoever has labels needs no attributor. It shows what removing the labelled
    rows does, which those that do the harm may surpass.
    """

    version: ClassVar[str] = "1"
    reads_probes: ClassVar[bool] = False
    paper: ClassVar[str] = "own control"
    uses_model: ClassVar[bool] = False

    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        """Read the label of every row. Raises `RecipeError` where no row has one."""
        del model, probes, seed
        collected = RowScores()
        labelled = 0
        for block in blocks_of(rows, _BLOCK):
            skipped = {row.id: "no label" for row in block if row.biased is None}
            labelled += len(block) - len(skipped)
            scores = np.array([float(bool(row.biased)) for row in block])
            collected.add([row.id for row in block], scores, skipped=skipped)
        attribution = collected.attribution(
            "label", unit="label", notes=("labels, not scores: known only of made mixes",)
        )
        if not labelled:
            raise RecipeError(
                f"label takes rows that say whether they are biased, got {labelled} of "
                f"{len(attribution.ids)}; give rows with labels, or another attributor"
            )
        return attribution
