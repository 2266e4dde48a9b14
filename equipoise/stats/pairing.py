"""The same items of two measurements, side by side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from equipoise.metrics.weighted import CLUSTER
from equipoise.records import Column, Measurement, Outcome
from equipoise.stats.compare import Sides
from equipoise.stats.related import with_related
from equipoise.stats.resample import columns_of

PREFIX = "prefix"  # group key of the outcomes of a model that is a family of prompts
ITEM = "item"  # group key of the example behind such outcomes
VARIANTS = "variants"  # in a measurement's model_info: how many prompts the family has
#: Values closer than this, absolutely or relatively, are the same: batches may differ by as much.
SAME = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Items that every side has an outcome of, and what was left out."""

    sides: Sides
    outcomes: tuple[Outcome, ...]  # the before side's, in the rows' order: ids and groups
    family: bool  # rows carry a prefix and an item
    unchanged: NDArray[np.bool_]  # [row]: every value is the same (`SAME`) on all sides
    notes: tuple[str, ...]


def pair(
    before: Measurement,
    afters: Sequence[Measurement],
    *,
    other_befores: Sequence[Measurement] = (),
    related: Sequence[str] = (),
) -> Paired:
    """Pair outcomes by example id, in the order of the before side.

    `other_befores`: of the other seeds, where the before side was learnt with each, too.
    `related`: group keys that a row has from any side (`stats.related`).
    A family of prompts has an outcome per example and prompt; against a single model each of them
    is paired with that model's outcome. A value that is nan on a side is nan on all, so
    that all sides rest on the same items; items and values lost that way are in `notes`.
    """
    measured, befores = (before, *other_befores, *afters), 1 + len(other_befores)
    sides = [{outcome.example: outcome for outcome in side.outcomes} for side in measured]
    families = [_variants(measurement) > 1 for measurement in measured]
    if any(families):
        like = sides[families.index(True)]
        sides = [
            side if family else _repeated(side, like=like)
            for side, family in zip(sides, families, strict=True)
        ]
    shared = [id for id in sides[0] if all(id in side for side in sides)]
    rows = with_related([sides[0][id] for id in shared], sides, related)
    cluster = measured[families.index(True)].cluster if any(families) else before.cluster
    columns = [columns_of(rows, cluster=cluster)]
    for side in sides[1:]:
        # The before side's groups, so that clusters have the same numbers on all sides.
        twins = [replace(side[row.example], groups=row.groups) for row in rows]
        columns.append(columns_of(twins, cluster=cluster))
    # Before `_level`: after it an item that is measured on one side alone is nan on both, and so
    # could count as unchanged.
    unchanged = _unchanged(columns)
    lost = list(_level(columns))
    return Paired(
        sides=Sides(
            before=columns[0],
            afters=tuple(columns[befores:]),
            other_befores=tuple(columns[1:befores]),
        ),
        outcomes=tuple(rows),
        family=any(families),
        unchanged=unchanged,
        notes=(*_missing(sides, befores), *lost),
    )


def add_groups(
    outcomes: Sequence[Outcome], groups: Mapping[str, Mapping[str, str]]
) -> list[Outcome]:
    """The outcomes with the groups of their examples, by id, beside their own."""
    return [
        replace(each, groups={**each.groups, **groups[each.groups.get(ITEM, each.example)]})
        for each in outcomes
    ]


def _variants(measurement: Measurement) -> int:
    count = measurement.model_info.get(VARIANTS, 1)
    return count if isinstance(count, int) else 1


def _repeated(single: Mapping[str, Outcome], *, like: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """A single model's outcomes, once for each prompt of a family."""
    return {
        id: replace(single[outcome.groups[ITEM]], example=id, groups=outcome.groups)
        for id, outcome in like.items()
        if outcome.groups[ITEM] in single
    }


def _unchanged(sides: Sequence[Mapping[str, Column]]) -> NDArray[np.bool_]:
    """Which rows have the same values on all sides; nan is the same as nan."""
    unchanged = np.full(len(sides[0][CLUSTER]), True)
    absent = np.full(len(unchanged), np.nan)
    for key in {key for side in sides for key in side if not key.startswith("@")}:
        before, *afters = (side.get(key, absent) for side in sides)
        for after in afters:
            unchanged &= np.isclose(after, before, rtol=SAME, atol=SAME, equal_nan=True)
    return unchanged


def _level(sides: Sequence[dict[str, Column]]) -> Iterator[str]:
    """Set to nan, on every side, what is not finite on any; say how many."""
    for key in sorted({key for side in sides for key in side}):
        if key.startswith("@"):
            continue
        absent = np.full(len(sides[0][CLUSTER]), np.nan)
        values = [side.get(key, absent) for side in sides]
        finite = np.isfinite(values)
        apart = finite.any(axis=0) & ~finite.all(axis=0)
        for side, value in zip(sides, values, strict=True):
            side[key] = np.where(apart, np.nan, value)
        if apart.any():
            yield f"'{key}' is finite on one side only in {int(apart.sum())} items; left out"


def _missing(sides: Sequence[Mapping[str, Outcome]], befores: int) -> Iterator[str]:
    """Which items a side before lacks, and which a side after; the sides before come first."""
    for name, here, others in (
        ("before", [*sides[:befores]], [*sides[befores:]]),
        ("after", [*sides[befores:]], [*sides[:befores]]),
    ):
        ids = dict.fromkeys(id for side in others for id in side)
        missing = [id for id in ids if any(id not in side for side in here)]
        if missing:
            yield f"{len(missing)} items have no outcome {name}, the first is '{missing[0]}'"
