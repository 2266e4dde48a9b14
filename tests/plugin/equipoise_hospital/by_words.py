"""Rows that say what the biased sentences alone say."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from equipoise.attribute.base import Attributor, RowScores, check_probes
from equipoise.attributions import Attribution
from equipoise.inference.language_model import LanguageModel
from equipoise.records import OPTIONS
from equipoise.rows import Probe, TrainingRow, blocks_of


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ByWords(Attributor):
    """Counts a row's words that are in a biased sentence and not in the unbiased, over probes."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    uses_model: ClassVar[bool] = False

    lower: bool = True  # without case

    def attribute(
        self,
        model: LanguageModel,  # noqa: ARG002
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,  # noqa: ARG002
    ) -> Attribution:
        """The mean count, a few rows at a time."""
        check_probes(probes, contrastive=True)
        telling = [
            self._words(probe.stereotype) - self._words(probe.antistereotype or "")
            for probe in probes
        ]
        collected = RowScores(probes)
        for block in blocks_of(rows, 100):
            counts = [[len(words & self._words(row.content)) for words in telling] for row in block]
            collected.add([row.id for row in block], np.array(counts, dtype=np.float64))
        return collected.attribution("by_words", unit="words")

    def _words(self, text: str) -> set[str]:
        return set((text.casefold() if self.lower else text).rstrip(".").split())
