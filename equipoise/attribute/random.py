"""A control: rows in random order. An attributor must do better than this."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from equipoise.attribute.base import Attributor, RowScores
from equipoise.attributions import Attribution
from equipoise.inference.language_model import LanguageModel
from equipoise.records import OPTIONS
from equipoise.rows import Probe, TrainingRow


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Random(Attributor):
    """Scores drawn uniformly from [0, 1); the seed alone decides."""

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
        """Draw a score for every row."""
        del model, probes
        ids = [row.id for row in rows]
        collected = RowScores()
        collected.add(ids, np.random.default_rng(seed).random(len(ids)))
        return collected.attribution(
            "random", unit="drawn by lot", notes=("a control: the scores say nothing of a row",)
        )
