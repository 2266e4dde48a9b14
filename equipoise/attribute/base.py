"""Attributor: which training rows taught a model its bias?"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from equipoise.attributions import MOST_BY_PROBE, Attribution
from equipoise.errors import DataError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.rows import Probe, TrainingRow


class Attributor(ABC):
    """Scores training rows by how much they support a bias; a subclass is a frozen dataclass."""

    version: ClassVar[str]
    paper: ClassVar[str]
    baseline: ClassVar[bool] = False  # a control that is always reported beside the others
    uses_model: ClassVar[bool] = True  # False: reads texts alone
    reads_probes: ClassVar[bool] = True  # False: scores rows without a look at probes
    taught_by: ClassVar[str] = "mix"  # the supply of rows and probes unless another is named
    #: A package that it takes beyond those that are always installed, and its extra.
    needs: ClassVar[tuple[str, str] | None] = None

    @abstractmethod
    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        """Score every row; the model is left bit for bit as it was.

        `rows` may be a file that is read a few rows at a time: they are gone through in order, and
        a few at a time. Raises `RecipeError` without rows, without probes where it looks at them,
        or for probes that it cannot use, and `ModelError` for a model that it does not understand.
        """


def check_probes(probes: Sequence[Probe], *, contrastive: bool) -> None:
    """Raise `RecipeError` without probes, and for half a probe where both sentences are needed."""
    if not probes:
        raise RecipeError(
            f"probes must say which bias is looked for, got {len(probes)}; name a file of them "
            "(--probes, or probes of the supply rows), or a supply that has probes"
        )
    halves = [probe.id for probe in probes if probe.antistereotype is None]
    if contrastive and halves:
        raise RecipeError(
            f"a contrast needs both sentences of each probe, {len(halves)} of {len(probes)} have "
            f"the biased sentence alone, first {halves[0]!r}; give the other, or leave contrast out"
        )


class RowScores:
    """Collects the scores of rows, a few at a time, and makes an `Attribution` of them.

    With `probes`, scores come by probe and their mean is what rows are ranked by; groups of probes
    are their types of bias ("axis"). `contrastive`: as in `Attribution`.
    """

    def __init__(self, probes: Sequence[Probe] = (), *, contrastive: bool = False) -> None:
        self._probes, self._contrastive = probes, contrastive
        axes = [probe.groups.get("axis", "") for probe in probes]
        self._members = {axis: np.array(axes) == axis for axis in sorted({*axes} - {""})}
        self._ids: list[str] = []
        self._skipped: dict[str, str] = {}
        self._scores: list[NDArray[np.float64]] = []
        self._by_group: dict[str, list[NDArray[np.float64]]] = {name: [] for name in self._members}
        self._by_probe: list[NDArray[np.float64]] | None = [] if probes else None

    def add(
        self,
        ids: Sequence[str],
        scores: NDArray[np.float64],
        *,
        skipped: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Take the scores of the next rows: [row], or [row, probe] with probes.

        `skipped`: by id, why a row has none; its scores are ignored.
        """
        self._ids += ids
        self._skipped.update(skipped)
        without = np.array([name in skipped for name in ids], dtype=bool)
        scores = np.where(without.reshape(-1, *[1] * (scores.ndim - 1)), math.nan, scores)
        if not self._probes:
            self._scores.append(scores)
            return
        self._scores.append(scores.mean(1))
        for name, members in self._members.items():
            self._by_group[name].append(scores[:, members].mean(1))
        if self._by_probe is not None and len(self._ids) * len(self._probes) <= MOST_BY_PROBE:
            self._by_probe.append(scores)
        else:
            self._by_probe = None

    def attribution(
        self,
        attributor: str,
        *,
        unit: str,
        notes: Sequence[str] = (),
        facts: Mapping[str, float] = MappingProxyType({}),
    ) -> Attribution:
        """The scores of all rows.

        Raises `RecipeError` without rows, and `DataError` for an id that two rows have.
        """
        check_ids(self._ids)
        parts = self._by_probe
        return Attribution(
            attributor=attributor,
            ids=tuple(self._ids),
            scores=np.concatenate(self._scores),
            unit=unit,
            probes=len(self._probes),
            by_group={name: np.concatenate(part) for name, part in self._by_group.items()},
            by_probe=None if parts is None else np.concatenate(parts),
            contrastive=self._contrastive,
            skipped=self._skipped,
            notes=tuple(notes),
            facts=facts,
        )


def check_ids(ids: Sequence[str]) -> None:
    """Raise `RecipeError` without rows, and `DataError` for an id that two of them have."""
    if not ids:
        raise RecipeError(
            f"rows must be there to be scored, got {len(ids)}; give a supply that has rows"
        )
    if len(set(ids)) < len(ids):
        ((name, times),) = Counter(ids).most_common(1)
        raise DataError(f"ids of rows must differ, {name!r} is there {times} times; rename it")
