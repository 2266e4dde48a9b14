"""The same items of two measurements, side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from equipoise.records import Column, Measurement, Outcome
from equipoise.stats.compare import Pair
from equipoise.stats.resample import columns_of

PREFIX = "prefix"  # group key of the outcomes of a model that is a family of prompts
ITEM = "item"  # group key of the example behind such outcomes
VARIANTS = "variants"  # in a measurement's model_info: how many prompts the family has


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Items that both sides have an outcome of, and what was left out."""

    pair: Pair
    outcomes: tuple[Outcome, ...]  # the before side's, in the rows' order: ids and groups
    family: bool  # rows carry a prefix and an item
    notes: tuple[str, ...]


def pair(before: Measurement, after: Measurement) -> Paired:
    """Pair outcomes by example id, in the order of the before side.

    A family of prompts has one outcome an example and prompt; against a single model each of them
    is paired with that model's one outcome. A value that is nan on one side is nan on both, so
    that both sides rest on the same items; items and values lost that way are in `notes`.
    """
    families = [_variants(one) > 1 for one in (before, after)]
    sides = {o.example: o for o in before.outcomes}, {o.example: o for o in after.outcomes}
    if families[0] and not families[1]:
        sides = sides[0], _repeated(sides[1], like=sides[0])
    if families[1] and not families[0]:
        sides = _repeated(sides[0], like=sides[1]), sides[1]
    shared = [id for id in sides[0] if id in sides[1]]
    rows = [sides[0][id] for id in shared]
    cluster = after.cluster if families[1] else before.cluster
    first = columns_of(rows, cluster=cluster)
    twins = [replace(sides[1][row.example], groups=row.groups) for row in rows]
    second = columns_of(twins, cluster=cluster)
    lost = list(_level(first, second))
    return Paired(
        pair=Pair(before=first, after=second),
        outcomes=tuple(rows),
        family=any(families),
        notes=(*_missing(sides), *lost),
    )


def _variants(measurement: Measurement) -> int:
    count = measurement.model_info.get(VARIANTS, 1)
    return count if isinstance(count, int) else 1


def _repeated(single: Mapping[str, Outcome], *, like: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """A single model's outcomes, once for each prompt of a family."""
    return {
        id: replace(single[one.groups[ITEM]], example=id, groups=one.groups)
        for id, one in like.items()
        if one.groups[ITEM] in single
    }


def _level(first: dict[str, Column], second: dict[str, Column]) -> Iterator[str]:
    """Set to nan, on both sides, what is not finite on one; say how many."""
    for key in sorted({*first, *second}):
        if key.startswith("@"):
            continue
        absent = np.full(len(first["@cluster"]), np.nan)
        one, two = first.get(key, absent), second.get(key, absent)
        apart = np.isfinite(one) != np.isfinite(two)
        first[key], second[key] = (np.where(apart, np.nan, side) for side in (one, two))
        if apart.any():
            yield f"'{key}' is finite on one side only in {int(apart.sum())} items; left out"


def _missing(sides: tuple[Mapping[str, Outcome], Mapping[str, Outcome]]) -> Iterator[str]:
    for name, here, there in (("before", *sides), ("after", *sides[::-1])):
        missing = [id for id in there if id not in here]
        if missing:
            yield f"{len(missing)} items have no outcome {name}, the first is '{missing[0]}'"
