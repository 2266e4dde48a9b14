"""Probes in a few parts, each of a single type of bias and direction: scores are known by part.

A score is a mean over probes. Known by part, it has an interval over probes, and a test in which
both sentences of all probes of a part are exchanged. A vector for every probe would do, too, and
take as much memory as there are probes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.rows import Probe

ALL = "all"  # the type of probes that name none


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeParts:
    """Which probes are taken together; columns are [row, part], means over a part's probes."""

    part: tuple[int, ...]  # [probe]: its part
    axis: tuple[str, ...]  # [part]: its type of bias
    direction: tuple[str, ...] = ()  # [part]: whom its stereotypes are about; (): not known

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parts: "gender", or "gender 1" and so on where a type has several."""
        numbers = [self.axis[: k + 1].count(axis) for k, axis in enumerate(self.axis)]
        return tuple(
            axis if self.axis.count(axis) == 1 else f"{axis} {number}"
            for axis, number in zip(self.axis, numbers, strict=True)
        )

    @property
    def counts(self) -> NDArray[np.float64]:
        """Probes in each part."""
        return np.bincount(self.part, minlength=len(self.axis)).astype(np.float64)

    def mean(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean over all probes: [row]."""
        mean: NDArray[np.float64] = columns @ (self.counts / self.counts.sum())
        return mean

    def by_axis(self, columns: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """The mean over the probes of each type of bias: [row] each."""
        return self._means(self.axis, columns)

    def by_side(self, columns: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """The mean over the probes of each type of bias and direction: [row] each."""
        directions = self.direction or ("",) * len(self.axis)
        sides = [f"{axis} {way}".strip() for axis, way in zip(self.axis, directions, strict=True)]
        return self._means(sides, columns)

    def _means(
        self, groups: Sequence[str], columns: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float64]]:
        """The mean over the probes of each group of parts; `groups`: of each part."""
        means = {}
        for group in sorted(set(groups)):
            counts = self.counts * (np.array(groups) == group)
            means[group] = columns @ (counts / counts.sum())
        return means

    def shares(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each part adds to the mean over probes, which is the mean of these: [row, part]."""
        counts = self.counts
        added: NDArray[np.float64] = columns * (counts * len(counts) / counts.sum())
        return added


def probe_parts(probes: Sequence[Probe], most: int) -> ProbeParts:
    """About `most` parts, as many for each type of bias as its share of the probes, at least one.

    Of a type whose probes name directions, for each direction. Probes are dealt out in turn.
    """
    sides = [
        (probe.groups.get("axis") or ALL, probe.groups.get("direction") or "") for probe in probes
    ]
    starts: dict[tuple[str, str], int] = {}
    sizes: dict[tuple[str, str], int] = {}
    side_of_part: list[tuple[str, str]] = []
    for side in sorted(set(sides)):
        count = sides.count(side)
        starts[side] = len(side_of_part)
        sizes[side] = min(count, max(1, round(most * count / len(sides))))
        side_of_part += [side] * sizes[side]
    dealt = dict.fromkeys(starts, 0)
    part = []
    for side in sides:
        part.append(starts[side] + dealt[side] % sizes[side])
        dealt[side] += 1
    directions = tuple(direction for _, direction in side_of_part)
    return ProbeParts(
        part=tuple(part),
        axis=tuple(axis for axis, _ in side_of_part),
        direction=directions if any(directions) else (),
    )
