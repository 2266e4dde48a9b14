"""How good attributions are, as JSON and back: quality by labels, leave-out scores, removal curves.

Attributors are stored by the keys of their steps, since labels are in no key of a study, and read
by the labels that the recipe has now. No torch.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from pydantic import TypeAdapter, ValidationError

from equipoise.attributions import (
    AttributionQuality,
    AttributorDifference,
    LeaveOutScore,
    RemovalCurve,
    RemovalPoint,
)
from equipoise.errors import StoreError
from equipoise.files.json_records import write_record
from equipoise.records import Estimate

Validation: TypeAlias = AttributionQuality | LeaveOutScore | RemovalCurve

_QUALITY = TypeAdapter(AttributionQuality)
_DIFFERENCES: TypeAdapter[tuple[AttributorDifference, ...]] = TypeAdapter(
    tuple[AttributorDifference, ...]
)
_ESTIMATE = TypeAdapter(Estimate)


def write_validation(file: Path, results: Sequence[Validation]) -> None:
    """Write the results of all attributors."""
    write_record(file, [_plain(dataclasses.asdict(result)) for result in results])


def read_validation(file: Path, kind: str, labels: Mapping[str, str]) -> tuple[Any, ...]:
    """Read the results of a kind of step ("quality", "lds", "removal").

    `labels`: by the name that an attributor was stored under. Raises `StoreError`.
    """
    try:
        text = file.read_text(encoding="utf-8")
        for name, label in labels.items():
            text = text.replace(name, json.dumps(label)[1:-1])
        return tuple(_READ[kind](row) for row in json.loads(text))
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        why = " ".join(str(error).split())
        raise StoreError(
            f"{file} must hold results of attributions, got: {why}; run the recipe again, which "
            "redoes this step"
        ) from error


def _plain(value: Any) -> Any:
    """Arrays as lists."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _leave_out(row: Mapping[str, Any]) -> LeaveOutScore:
    return LeaveOutScore(
        **{
            **row,
            "estimate": _ESTIMATE.validate_python(row["estimate"]),
            "by_probe": np.array(row["by_probe"], dtype=np.float64),  # "NaN" is nan
            "agreement": float(row["agreement"]),
            "versus": _DIFFERENCES.validate_python(row["versus"]),
            "notes": tuple(row["notes"]),
        }
    )


def _curve(row: Mapping[str, Any]) -> RemovalCurve:
    return RemovalCurve(
        attributor=row["attributor"],
        base=_point(row["base"]),
        full=_point(row["full"]),
        points=tuple(map(_point, row["points"])),
        versus=_DIFFERENCES.validate_python(row["versus"]),
        notes=tuple(row["notes"]),
    )


def _point(row: Mapping[str, Any]) -> RemovalPoint:
    estimates = {
        name: None if row[name] is None else _ESTIMATE.validate_python(row[name])
        for name in ("bias", "ability", "change")
    }
    arrays = {name: np.array(row[name], dtype=np.float64) for name in ("margins", "nats")}
    return RemovalPoint(**{**row, **estimates, **arrays})


_READ: Final[Mapping[str, Callable[[Mapping[str, Any]], Validation]]] = {
    "quality": _QUALITY.validate_python,
    "lds": _leave_out,
    "removal": _curve,
}
#: Kinds of steps about attributions of the same rows.
VALIDATIONS: Final = tuple(_READ)
