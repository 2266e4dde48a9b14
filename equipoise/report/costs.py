"""What methods cost, a row each: over seeds the median, with the lowest and the highest."""

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from equipoise.study.study import Cost, Study

_GIGABYTE = 1e9
_PEAK_OF = {"cuda": "GPU memory", "process": "memory of the process"}


class CostRow(NamedTuple):
    """A method on a model, as texts."""

    model: str
    method: str
    seeds: int  # that are counted
    trained: str
    changed: str
    steps: str
    seconds: str
    peak: str
    passes: str
    reason: str  # why something is "n/a"; "": nothing is


def cost_rows(study: Study) -> list[CostRow]:
    """A row per model and method, in the order of the study."""
    alike: dict[tuple[str, str], list[Cost]] = {}
    for cost in study.costs:
        alike.setdefault((cost.model, cost.mitigation), []).append(cost)
    return [
        CostRow(
            model=model,
            method=method,
            seeds=len(costs),
            trained=_span([cost.trained_parameters for cost in costs]),
            changed=_span([cost.changed_parameters for cost in costs]),
            steps=_span([cost.steps for cost in costs]),
            seconds=_span([cost.seconds for cost in costs], places=1),
            peak=_span([cost.peak_bytes / _GIGABYTE for cost in costs], places=2),
            passes=_span([cost.passes_per_token for cost in costs]),
            reason="; ".join(dict.fromkeys(cost.reason for cost in costs if cost.reason)),
        )
        for (model, method), costs in alike.items()
    ]


def peak_names(study: Study) -> str:
    """Of what the memory is, in words; "" where nothing is known of it."""
    kinds = dict.fromkeys(cost.peak_of for cost in study.costs if cost.peak_of)
    return " or ".join(_PEAK_OF.get(kind, kind) for kind in kinds)


def _span(values: Sequence[float], *, places: int = 0) -> str:
    """The median of what is known, and the ends where they differ: "12 (11 to 14)"."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return "n/a"
    middle, low, high = (f"{x:,.{places}f}" for x in (median(known), min(known), max(known)))
    return middle if low == high else f"{middle} ({low} to {high})"
