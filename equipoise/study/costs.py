"""What each edit of a study cost: numbers trained, steps, time, memory, passes at inference.

Numbers and steps are of the edit's own record. Time and memory are of the store's log, since a
record holds nothing that differs from run to run. No torch.
"""

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from equipoise.errors import StoreError
from equipoise.files.json_records import read_object
from equipoise.files.tensors import count_numbers
from equipoise.study.store import LOG, Store
from equipoise.study.study import Cost

_HEAD = "edit.json"
_PARTS = ("first", "second")  # of a combined edit
#: Kinds of edits whose model runs once for a token; of prompts, after a longer text.
_SINGLE_PASS = ("weights", "adapter", "heads", "prompts")
_TRAINS_NOTHING = ("heads", "prompts", "next_token")


def logged_fits(store: Store) -> dict[str, dict[str, Any]]:
    """What the log says of each finished step, by its key; the last time counts."""
    done: dict[str, dict[str, Any]] = {}
    with suppress(OSError):
        for line in (store.folder / LOG).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, KeyError, TypeError):  # a line that was cut
                event = json.loads(line)
                if event["event"] == "done":
                    done[str(event["step"])] = event
    return done


def edit_cost(
    folder: Path,
    logged: Mapping[str, Any],
    *,
    model: str,
    mitigation: str,
    seed: int | None,
) -> Cost:
    """The cost of the edit in a folder; nan where it is not known, with the reason.

    Raises `StoreError` where the edit cannot be read.
    """
    recorded = _of_record(folder)
    reasons = [*recorded.reasons]
    seconds = float(logged.get("seconds", math.nan))
    if math.isnan(seconds):
        reasons.append("the log of the store has no time for it")
    if logged.get("resumed"):
        reasons.append("it was resumed: seconds are those after the last start")
    peak = logged.get("peak_bytes")
    if peak is None:
        reasons.append("the log of the store has no memory for it")
    return Cost(
        model=model,
        mitigation=mitigation,
        seed=seed,
        trained_parameters=recorded.trained,
        changed_parameters=recorded.changed,
        steps=recorded.steps,
        seconds=seconds,
        peak_bytes=math.nan if peak is None else float(peak),
        peak_of=str(logged.get("peak_of", "")),
        passes_per_token=recorded.passes,
        reason="; ".join(dict.fromkeys(reasons)) or None,
    )


class _Recorded(NamedTuple):
    """What an edit's own record says."""

    trained: float
    changed: float
    steps: float
    passes: float
    reasons: tuple[str, ...]  # why some of them are nan


def _of_record(folder: Path) -> _Recorded:
    head = read_object(folder / _HEAD)
    kind = head.get("kind")
    if kind == "combined":
        parts = [_of_record(folder / part) for part in _PARTS]
        return _Recorded(
            trained=math.fsum(part.trained for part in parts),
            changed=math.fsum(part.changed for part in parts),
            steps=math.fsum(part.steps for part in parts),
            passes=math.prod(part.passes for part in parts),
            reasons=tuple(reason for part in parts for reason in part.reasons),
        )
    info = head.get("info")
    report = info.get("report", {}) if isinstance(info, dict) else {}
    reasons = []
    nothing = 0.0 if kind in _TRAINS_NOTHING else math.nan
    trained = float(report.get("trained_parameters", nothing))
    if math.isnan(trained):
        reasons.append("its record does not say how many numbers were trained")
    steps = float(report.get("steps", 0.0 if trained == 0 else math.nan))
    passes = 1.0 if kind in _SINGLE_PASS else float(report.get("cost_factor", math.nan))
    if math.isnan(passes):
        reasons.append("its record does not say how many forward passes a token takes")
    return _Recorded(trained, _count_numbers(folder, head), steps, passes, tuple(reasons))


def _count_numbers(folder: Path, head: Mapping[str, Any]) -> float:
    """How many numbers the edit brings: replaced weights, or an adapter's factors; 0: none."""
    name = head.get("tensors_file")
    if name is None:
        return 0.0
    try:
        return float(count_numbers(folder / str(name)))
    except Exception as error:  # safetensors raises its own, and what the system does
        raise StoreError(
            f"{folder / str(name)} must be a safetensors file, got: {error}; run the recipe again"
        ) from error
