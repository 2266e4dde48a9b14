"""A control: long rows first. An attributor must do better than this, and than its reverse."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from equipoise.attribute.base import Attributor, RowScores
from equipoise.attributions import Attribution
from equipoise.inference.language_model import LanguageModel
from equipoise.records import OPTIONS
from equipoise.rows import Probe, TrainingRow, blocks_of

_BLOCK = 1024  # rows at a time


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Length(Attributor):
    """How many characters a row has; neither probes nor the model matter."""

    version: ClassVar[str] = "1"
    reads_probes: ClassVar[bool] = False
    paper: ClassVar[str] = "own control"
    baseline: ClassVar[bool] = True
    uses_model: ClassVar[bool] = False

    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        """Count the characters of every row."""
        del model, probes, seed
        collected = RowScores()
        for block in blocks_of(rows, _BLOCK):
            counts = np.array([len(row.content) for row in block], dtype=np.float64)
            collected.add([row.id for row in block], counts)
        return collected.attribution(
            "length", unit="characters", notes=("a control: the scores say nothing of a bias",)
        )
