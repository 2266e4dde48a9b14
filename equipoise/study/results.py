"""Results on disk: a folder with `results.json` and a Parquet file of outcomes per benchmark.

`results.json` is a superset of what lm-evaluation-harness writes: `study.lm_eval_format` makes what
its readers look for; all else is under `equipoise`. It is strict JSON: nan is null, with its reason
beside it. A folder is written beside its place and renamed into it, so that a result is never
incomplete.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from equipoise.answer import answer
from equipoise.conclusions import Change, Comparison, Difference, model_title
from equipoise.errors import StoreError
from equipoise.files.atomic import check_new, new_folder, sha256
from equipoise.files.json_records import read_object
from equipoise.records import JSON, DataUse, Estimate, Measurement, Outcome, Reference
from equipoise.slices import SliceTable
from equipoise.stats.resample import METHOD
from equipoise.study.lm_eval_format import harness_part, keys_of, overall

SCHEMA = 2
FILE = "results.json"

_ESTIMATES = TypeAdapter(tuple[Estimate, ...])
_REFERENCES = TypeAdapter(tuple[Reference, ...])
_SLICES = TypeAdapter(tuple[SliceTable, ...])
_CHANGES = TypeAdapter(tuple[Change, ...])
_DIFFERENCES = TypeAdapter(tuple[Difference, ...])
_DATA = TypeAdapter(tuple[DataUse, ...])
_PLAIN = (
    "model", "benchmark", "version", "options", "split", "seed", "draws", "limit",
    "examples_sha256", "model_info", "environment", "cluster", "notes",
)  # fmt: skip

_PREFIX = ("prefix", "start_token", "start_token_id", "start_reason", "chat", "prompts")


def write_results(folder: Path | str, measurements: Sequence[Measurement]) -> Path:
    """Write the measurements of a model into a new folder, whole or not at all; gives it back.

    Raises `StoreError` when the folder exists and is not empty, or cannot be written.
    """
    folder = Path(folder)
    check_new(folder, what="results")
    try:
        with new_folder(folder, what="results") as beside:
            document = results_document(measurements)
            for key, measurement in zip(keys_of(measurements), measurements, strict=True):
                name = _outcomes_name(key)
                write_outcomes(beside / name, measurement.outcomes)
                document["equipoise"]["benchmarks"][key]["outcomes"] = {
                    "file": name,
                    "sha256": sha256(beside / name),
                }
            (beside / FILE).write_text(to_json(document), encoding="utf-8")
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise StoreError(f"cannot write results to {folder}: {error}; fix it and retry") from error
    return folder


def read_results(path: Path | str, *, outcomes: bool = True) -> tuple[Measurement, ...]:
    """Read what `write_results` wrote: a folder, or the `results.json` in it.

    `outcomes`: False leaves them out, unread: much quicker, and enough for the numbers, so that
    what `--json` printed can be read, too.
    Raises `StoreError` naming the file when it is missing, cut, changed or of another schema.
    """
    path = Path(path)
    file = path / FILE if path.is_dir() else path
    document = read_object(file)
    section = document.get("equipoise")
    if not isinstance(section, dict):
        raise StoreError(f"{file} must have an 'equipoise' object, got {section!r}; measure again")
    if section.get("schema") != SCHEMA:
        raise StoreError(
            f"{file} must have schema {SCHEMA}, got {section.get('schema')!r}; "
            "it was written by another version of equipoise, read it with that version"
        )
    try:
        return tuple(
            Measurement(
                **{name: row[name] for name in _PLAIN} | {"notes": tuple(row["notes"])},
                data=_DATA.validate_python(row["data"]),
                estimates=_ESTIMATES.validate_python(tuple(map(_restore_nan, row["estimates"]))),
                outcomes=_read_outcomes(file.parent, row["outcomes"]) if outcomes else (),
                # results of older versions have none
                references=_read_references(row.get("references", [])),
                slices=_SLICES.validate_python(tuple(map(_restore_slices, row.get("slices", [])))),
                headline=tuple(row.get("headline", ())),
                about={name: (texts[0], texts[1]) for name, texts in row.get("about", {}).items()},
            )
            for row in section["benchmarks"].values()
        )
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        why = f"one {'without' if isinstance(error, KeyError) else 'in which'} {error}"
        raise StoreError(
            f"{file} must hold whole measurements, got {why.splitlines()[0]}; measure again"
        ) from error


def results_document(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """What `results.json` and `--json` hold, of at least 1 measurement; nan: see `to_json`."""
    keyed = dict(zip(keys_of(measurements), measurements, strict=True))
    return {
        **harness_part(keyed),
        "equipoise": {
            "schema": SCHEMA,
            "ci_method": METHOD,
            "environment": dict(measurements[0].environment),
            "answer": list(answer(measurements)),
            "benchmarks": {key: _to_row(measurement) for key, measurement in keyed.items()},
        },
    }


def comparisons_document(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """What `equipoise compare --json` prints: every change, and what was compared."""
    return {
        "schema": SCHEMA,
        "ci_method": METHOD,
        "comparisons": [
            {
                "benchmark": comparison.before.benchmark,
                "split": comparison.before.split,
                "before": comparison.before.model,
                "after": comparison.after.model,
                # the names that users gave them, else the identities again
                "before_name": model_title(comparison.before),
                "after_name": model_title(comparison.after),
                "seed": comparison.seed,
                "draws": comparison.draws,
                "changes": _CHANGES.dump_python(comparison.changes),
                "notes": comparison.notes,
                "differences": _DIFFERENCES.dump_python(comparison.differences),
            }
            for comparison in comparisons
        ],
    }


def to_json(document: Mapping[str, Any]) -> str:
    """Strict JSON: nan as null, infinities as "inf" and "-inf". Raises `ValueError` for others."""
    return json.dumps(_to_strict(document), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


# --- writing ----------------------------------------------------------------------------------


def _to_row(measurement: Measurement) -> dict[str, Any]:
    estimates = overall(measurement)
    values = sorted({key for outcome in measurement.outcomes for key in outcome.values})
    total = len(measurement.outcomes)
    finite = {
        key: sum(math.isfinite(row.values.get(key, math.nan)) for row in measurement.outcomes)
        for key in values
    }
    return {
        **{name: getattr(measurement, name) for name in _PLAIN},
        "ideal": {estimate.metric: estimate.ideal for estimate in estimates},
        # no list of two nulls, which Arrow cannot read
        "ci95": {
            estimate.metric: None
            if math.isnan(estimate.low) and math.isnan(estimate.high)
            else [estimate.low, estimate.high]
            for estimate in estimates
        },
        "n_clusters": {estimate.metric: estimate.clusters for estimate in estimates},
        "coverage": {key: count / total for key, count in finite.items()},
        "invalid": {key: total - count for key, count in finite.items()},
        "seeds": [measurement.seed],
        "prefix": {key: measurement.model_info.get(key) for key in _PREFIX},
        "data": _DATA.dump_python(measurement.data),
        "estimates": _ESTIMATES.dump_python(measurement.estimates),
        "references": _REFERENCES.dump_python(measurement.references),
        "slices": _SLICES.dump_python(measurement.slices),
        "headline": list(measurement.headline),
        "about": dict(measurement.about),
        "answer": list(answer([measurement])),
    }


def _to_strict(value: Any) -> JSON:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        return {str(key): _to_strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_strict(item) for item in value]
    return cast(JSON, value)


def _outcomes_name(key: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", key).strip("._") or "benchmark"
    short = hashlib.sha256(key.encode()).hexdigest()[:6]
    return f"outcomes-{plain}.parquet" if plain == key else f"outcomes-{plain}-{short}.parquet"


def write_outcomes(file: Path, outcomes: Sequence[Outcome]) -> None:
    """Write a row per example; "value:K" null where the outcome has no K, nan where it is nan."""
    values = sorted({key for outcome in outcomes for key in outcome.values})
    groups = sorted({key for outcome in outcomes for key in outcome.groups})
    # types are given, so that a benchmark's files are alike: of nothing but None Arrow makes none
    columns = {
        "example": pa.array([outcome.example for outcome in outcomes], pa.string()),
        **{
            f"value:{key}": pa.array([row.values.get(key) for row in outcomes], pa.float64())
            for key in values
        },
        **{
            f"group:{key}": pa.array([row.groups.get(key) for row in outcomes], pa.string())
            for key in groups
        },
        "text": pa.array([outcome.text for outcome in outcomes], pa.string()),
    }
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), file, compression="zstd")


# --- reading ----------------------------------------------------------------------------------


def _restore_nan(row: Mapping[str, Any]) -> dict[str, Any]:
    """An estimate with its nan back; "inf" is read as a float by pydantic."""
    absent = {key: math.nan for key in ("value", "low", "high") if row[key] is None}
    return {**row, **absent}


def _restore_slices(row: Mapping[str, Any]) -> dict[str, Any]:
    """A table of groups with its nan back."""

    def restore(values: Mapping[str, Any]) -> dict[str, Any]:
        names = ("value", "low", "high", "detectable", "reference")
        return {
            **values,
            **{key: math.nan for key in names if key in values and values[key] is None},
        }

    spans = {
        name: tuple(math.nan if end is None else end for end in row[name])
        for name in ("difference", "ratio")
    }
    return {**restore(row), **spans, "slices": tuple(map(restore, row["slices"]))}


def _read_references(rows: Sequence[Mapping[str, Any]]) -> tuple[Reference, ...]:
    return _REFERENCES.validate_python(
        tuple({**row, "estimates": tuple(map(_restore_nan, row["estimates"]))} for row in rows)
    )


def _read_outcomes(folder: Path, place: Mapping[str, Any]) -> tuple[Outcome, ...]:
    # its last part alone: what was read may name a file outside of its folder
    file = folder / Path(str(place["file"])).name
    if not file.is_file():
        raise StoreError(f"{file} must be there, it is missing; copy the whole folder")
    actual = sha256(file)
    if actual != place["sha256"]:
        raise StoreError(
            f"{file} must have sha256 {str(place['sha256'])[:12]}…, got {actual[:12]}…; "
            "it is cut short or has been changed, copy it again"
        )
    return read_outcomes(file)


def read_outcomes(file: Path) -> tuple[Outcome, ...]:
    """Read what `write_outcomes` wrote. Raises `StoreError` for what is no Parquet."""
    from pyarrow import parquet

    try:
        columns: dict[str, list[Any]] = parquet.ParquetFile(file).read().to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{file} must be Parquet, got: {error}; copy it again") from error
    values, groups = _take_prefixed("value:", columns), _take_prefixed("group:", columns)
    rows = zip(columns["example"], values, groups, columns["text"], strict=True)
    return tuple(
        Outcome(example=example, values=value, groups=group, text=text)
        for example, value, group, text in rows
    )


def _take_prefixed(prefix: str, columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Of each row the columns of a prefix that it has, by their names without it."""
    rows: list[dict[str, Any]] = [{} for _ in columns["example"]]
    for key, column in columns.items():
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            for row, value in zip(rows, column, strict=True):
                if value is not None:
                    row[name] = value
    return rows
