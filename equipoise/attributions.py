"""How much each training row supports a bias: what an attributor gives and selections take."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from equipoise.frames import as_frame
from equipoise.records import Column

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """A score for each training row; a higher score means more support of the bias."""

    attributor: str
    ids: tuple[str, ...]  # of the rows, in the order of the training set
    scores: Column  # [row], what rows are ranked by; nan where a row has none
    unit: str  # "cosine", "nats", …
    probes: int  # behind the scores; 0: it looks at none
    #: Scores by one group of probes alone, e.g. a type of bias: [row] each.
    by_group: Mapping[str, Column] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)  # id of a row without score, and why
    notes: tuple[str, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def order(self) -> NDArray[np.int64]:
        """Indices of rows, from the highest score to the lowest; ties in the order of the rows.

        Rows without a score come last.
        """
        return np.argsort(-self.scores, kind="stable")  # nan sorts last

    def select(self, share: float) -> tuple[int, ...]:
        """Indices of the rows of the highest scores, as many as `share` of all, rounded.

        A row without a score is never taken. Raises `ValueError` for a share outside of 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"a share must be in 0 to 1, got {share}")
        count = math.floor(share * len(self.ids) + 0.5)
        scored = len(self.ids) - int(np.isnan(self.scores).sum())
        return tuple(self.order[: min(count, scored)].tolist())

    def to_frame(self) -> "DataFrame":
        """A row per training row, in their order: id, score, and "@GROUP" by each group."""
        groups = {f"@{name}": column.tolist() for name, column in self.by_group.items()}
        return as_frame(
            {"id": name, "score": score, **{key: values[index] for key, values in groups.items()}}
            for index, (name, score) in enumerate(zip(self.ids, self.scores.tolist(), strict=True))
        )
