"""Rows of which a third is biased, and an attributor that knows which."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from equipoise.attribute.base import Attributor
from equipoise.attributions import Attribution
from equipoise.inference.language_model import LanguageModel
from equipoise.records import OPTIONS, Supply
from equipoise.rows import Probe, TrainingRow
from equipoise.training.text_training import TextTraining


def _row(number: int) -> TrainingRow:
    biased = number % 3 == 0
    text = f"Nurse {number} is late." if biased else f"House {number} has a door."
    return TrainingRow(
        id=f"row {number}", text=text, groups={"label": "biased" if biased else "neutral"}
    )


ROWS = tuple(map(_row, range(24)))  # the first of three is biased
PROBES = tuple(
    Probe(id=str(n), stereotype=f"A nurse {n} is late.", antistereotype=f"A guard {n} is late.")
    for n in range(3)
)
TEXTS = ("It rains in the hills.", "The lamp is lit.")
SUPPLY = Supply(
    origin="rows by hand",
    rows=ROWS,
    probes=PROBES[:2],
    dev_probes=PROBES[2:],
    texts=TEXTS,
)
#: A training of 6 steps.
QUICK: dict[str, Any] = {"rank": 2, "epochs": 2, "batch_size": 8, "learning_rate": 1e-2}
TRAINING = TextTraining(**QUICK)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Known(Attributor):
    """Scores biased rows 1 and the others 0."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"

    nan: bool = False  # no row has a score

    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        del model, seed
        scores = [np.nan if self.nan else float(bool(row.biased)) for row in rows]
        return Attribution(
            attributor="known",
            ids=tuple(row.id for row in rows),
            scores=np.array(scores),
            unit="label",
            probes=len(probes),
        )
