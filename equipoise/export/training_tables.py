"""What edits cost and what their training recorded, as tables of a study."""

from collections.abc import Iterator
from dataclasses import asdict

import pandas as pd

from equipoise.export.framing import Row, to_frame
from equipoise.report.training_curves import study_curves
from equipoise.study.study import Study

_CURVES = "model mitigation seed quantity over place value low high unit ideal n band rule"
_COSTS = (
    "model mitigation seed trained_parameters changed_parameters steps seconds peak_bytes peak_of "
    "passes_per_token reason"
)


def costs(study: Study) -> pd.DataFrame:
    """A row per edit: numbers trained and changed, steps, seconds, memory, passes per token.

    Seconds and memory are of one run on one machine, whatever else it did; no interval is known.
    """
    numbers = (
        "trained_parameters", "changed_parameters", "steps", "seconds", "peak_bytes",
        "passes_per_token",
    )  # fmt: skip
    return to_frame(map(asdict, study.costs), _COSTS).astype(dict.fromkeys(numbers, float))


def curves(study: Study) -> pd.DataFrame:
    """A row per point of every curve of training: losses, held-out SS, trajectories.

    `place`: on the axis `over` (steps, or edits). `low` and `high` are what `band` says.
    """
    frame = to_frame(_curve_rows(study), _CURVES)
    return frame.astype(dict.fromkeys(("place", "value", "low", "high", "ideal"), float))


def _curve_rows(study: Study) -> Iterator[Row]:
    for curve in study_curves(study):
        shared = {
            "mitigation": curve.method,
            **{
                name: getattr(curve, name)
                for name in ("model", "seed", "quantity", "over", "unit", "ideal", "n", "band")
            },
            "rule": curve.rule,
        }
        for place, value, low, high in zip(
            curve.x, curve.values, curve.low, curve.high, strict=True
        ):
            yield {**shared, "place": place, "value": value, "low": low, "high": high}
