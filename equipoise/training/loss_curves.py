"""What a training kept of its loss: the whole and its parts, by step.

A method's loss is a sum of terms that pull against each other (BiasUnlearn, figure 3: forgetting
and retention), and the sum alone hides which of them gave way. A loss calls `record_parts` with its
terms; the training loop keeps them beside the whole.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from equipoise.records import JSON

MOST_POINTS = 100  # of a curve in an edit's record
_DIGITS = 6  # significant, of a point

#: The parts of the step that is computed now; None outside of a training.
_recorded: ContextVar[dict[str, Tensor] | None] = ContextVar("loss_parts", default=None)


def record_parts(**parts: Tensor) -> None:
    """Record terms of this step's loss, each a scalar before its weight, by name.

    A name that is given twice in a step adds up. Outside of a training it does nothing.
    """
    recorded = _recorded.get()
    if recorded is None:
        return
    for name, value in parts.items():
        known, value = recorded.get(name), value.detach()
        recorded[name] = value if known is None else known + value.to(known.device)


@contextmanager
def recording_parts() -> Iterator[dict[str, Tensor]]:
    """A `with` block around a step's loss; gives what `record_parts` records in it."""
    recorded: dict[str, Tensor] = {}
    token = _recorded.set(recorded)
    try:
        yield recorded
    finally:
        _recorded.reset(token)


def part_values(total: Tensor, parts: Mapping[str, Tensor]) -> tuple[float, dict[str, float]]:
    """The loss of a step and its parts as numbers, in a single transfer from the device."""
    scalars = [total.detach(), *parts.values()]
    numbers = torch.stack([value.reshape(()).to(scalars[0].device) for value in scalars]).tolist()
    return numbers[0], dict(zip(parts, numbers[1:], strict=True))


def extend_parts(
    curves: dict[str, list[float]], values: Mapping[str, float], *, steps: int
) -> None:
    """Add a step's parts to the curves after `steps` steps; nan where a part had no value."""
    for name in {**curves, **values}:
        curve = curves.setdefault(name, [])
        curve += [math.nan] * (steps - len(curve))
        curve.append(values.get(name, math.nan))


def curve_report(
    losses: Sequence[float], parts: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, JSON]]:
    """For an edit's report: `curves`, the loss ("total") and its parts by step.

    Steps are cut into runs of `every` steps, the fewest that make at most `MOST_POINTS` runs. A
    point is the mean of its run (of the steps in which the part had a value; None: in none), and
    stands at the run's last step. The parts are before their weights, so that they need not add up
    to the total.
    """
    every = max(1, math.ceil(len(losses) / MOST_POINTS))
    starts = range(0, len(losses), every)
    curves: dict[str, JSON] = {
        name: [_mean(values[start : start + every]) for start in starts]
        for name, values in {"total": losses, **parts}.items()
    }
    steps = [min(start + every, len(losses)) for start in starts]
    return {"curves": {"every": every, "steps": [*steps], **curves}}


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    return float(f"{math.fsum(finite) / len(finite):.{_DIGITS}g}") if finite else None
