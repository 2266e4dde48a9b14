"""An attribution as files, and what a reader is shown of it.

    scores.parquet       a row per training row: id, score, and "group:K" by each group of probes
    attribution.json     attributor, unit, number of probes, rows without a score, notes, facts
    by_probe.safetensors [row, probe], where it is kept: what tests of the scores need
    summary.json         the rows of the highest and lowest scores, profile, curve

No torch.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from equipoise.attributions import Attribution
from equipoise.errors import StoreError
from equipoise.files.json_records import read_record, write_record
from equipoise.records import Column, Estimate
from equipoise.rows import TrainingRow
from equipoise.study.study import AttributedRow, AttributionSummary

SCORES, ABOUT, BY_PROBE, SUMMARY = (
    "scores.parquet", "attribution.json", "by_probe.safetensors", "summary.json",
)  # fmt: skip
_GROUP: Final = "group:"
_POINTS: Final = 100  # of a precision-recall curve, by recall


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """What an attribution says beside its scores."""

    attributor: str
    unit: str
    probes: int
    contrastive: bool
    skipped: Mapping[str, str]
    notes: tuple[str, ...]
    facts: Mapping[str, float]


_ABOUT = TypeAdapter(_About)
_SUMMARY = TypeAdapter(AttributionSummary)


def write_attribution(folder: Path, attribution: Attribution) -> None:
    """Write an attribution into a folder, which is made if it is missing."""
    folder.mkdir(exist_ok=True)
    columns = {
        "id": pa.array(attribution.ids, pa.string()),
        "score": pa.array(attribution.scores, pa.float64(), from_pandas=False),
        **{
            f"{_GROUP}{name}": pa.array(column, pa.float64(), from_pandas=False)
            for name, column in attribution.by_group.items()
        },
    }
    pq.write_table(pa.table(columns), folder / SCORES, compression="zstd")
    about = {field.name: getattr(attribution, field.name) for field in fields(_About)}
    about |= {name: dict(about[name]) for name in ("skipped", "facts")}
    write_record(folder / ABOUT, about)
    if attribution.by_probe is not None:
        by_probe = np.ascontiguousarray(attribution.by_probe)
        save_file({"by_probe": by_probe}, folder / BY_PROBE)


def read_attribution(folder: Path, *, by_probe: bool = False) -> Attribution:
    """Read what `write_attribution` wrote; scores by probe only where they are asked for.

    Raises `StoreError` for a file that is missing or no such file.
    """
    about = read_record(folder / ABOUT, _ABOUT)
    try:
        table = pq.read_table(folder / SCORES)
        columns = {name: table[name].to_numpy() for name in table.column_names if name != "id"}
        file = folder / BY_PROBE
        parts = load_file(file)["by_probe"] if by_probe and file.exists() else None
        return Attribution(
            **{field.name: getattr(about, field.name) for field in fields(_About)},
            ids=tuple(table["id"].to_pylist()),
            scores=columns.pop("score"),
            by_group={name.removeprefix(_GROUP): column for name, column in columns.items()},
            by_probe=parts,
        )
    except (OSError, KeyError, pa.ArrowException, SafetensorError) as error:
        raise StoreError(
            f"{folder} must hold an attribution, got: {error}; run again, which makes it anew"
        ) from error


def read_summary(file: Path) -> AttributionSummary:
    """Read what `write_record` wrote of a summary. Raises `StoreError`."""
    return read_record(file, _SUMMARY)


# --- what a reader is shown ---------------------------------------------------------------------


def summarize_attribution(
    attribution: Attribution, rows: Sequence[TrainingRow], *, count: int
) -> AttributionSummary:
    """The `count` rows that support the bias most and least, and what scores say of all rows.

    `rows`: those that were scored, gone through once; only the shown rows are read again.
    """
    groups = [dict(row.groups) for row in rows]
    order = attribution.order.tolist()
    scored = [index for index in order if not math.isnan(attribution.scores[index])]
    places = {index: rank for rank, index in enumerate(scored, 1)}

    def shown(indices: Sequence[int]) -> tuple[AttributedRow, ...]:
        return tuple(
            AttributedRow(
                id=attribution.ids[index],
                rank=places[index],
                score=float(attribution.scores[index]),
                groups=groups[index],
                texts=rows[index].texts,
            )
            for index in indices
        )

    labels = [group.get("label") for group in groups]
    biased = sum(label == "biased" for label in labels)
    # among as many rows as are biased: a perfect attributor would select none of these
    neutral = [index for index in scored[:biased] if labels[index] not in (None, "biased")]
    return AttributionSummary(
        rows=len(groups),
        scored=len(scored),
        labelled=sum(label is not None for label in labels),
        biased=biased,
        most=shown(scored[:count]),
        least=shown(scored[::-1][: min(count, len(scored) - count)] if count < len(scored) else []),
        neutral=shown(neutral[:count]),
        neutral_selected=len(neutral),
        profile=tuple(_profile(attribution, groups)),
        curve=_curve(attribution.scores, labels),
    )


def _profile(attribution: Attribution, groups: Sequence[Mapping[str, str]]) -> Iterator[Estimate]:
    """Mean score of the rows of each label and type of bias, with Student's t interval."""
    from scipy import special  # where it is used: results are read without it

    members: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for index, group in enumerate(groups):
        key = tuple((name, group[name]) for name in ("label", "axis") if name in group)
        if key:
            members.setdefault(key, []).append(index)
    for key, indices in sorted(members.items()):
        scores = attribution.scores[indices]
        scores = scores[~np.isnan(scores)]
        estimate = Estimate(
            metric="mean_score", value=math.nan, low=math.nan, high=math.nan, n=len(scores),
            clusters=len(scores), unit=attribution.unit, group=dict(key),
            reason="no row of these has a score",
        )  # fmt: skip
        if len(scores):
            mean, reason = float(scores.mean()), "a single row has no interval"
            estimate = replace(estimate, value=mean, reason=reason)
        if len(scores) > 1:
            error = float(scores.std(ddof=1)) / math.sqrt(len(scores))
            half = float(special.stdtrit(len(scores) - 1, 0.975)) * error
            estimate = replace(estimate, low=mean - half, high=mean + half, reason=None)
        yield estimate


def _curve(scores: Column, labels: Sequence[str | None]) -> tuple[tuple[float, float], ...]:
    """Recall and precision of the rows above falling thresholds; nothing without both labels."""
    known = np.array([label is not None for label in labels], dtype=bool)
    flags = np.array([label == "biased" for label in labels], dtype=bool)[known]
    if not flags.any() or flags.all():
        return ()
    values = np.where(np.isnan(scores[known]), -np.inf, scores[known])
    order = np.argsort(-values, kind="stable")
    hits, ordered = np.cumsum(flags[order]), values[order]
    # rows that tie are on the same side of every threshold
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True) & np.isfinite(ordered))
    recall, precision = hits[ends] / flags.sum(), hits[ends] / (ends + 1)
    grid = np.linspace(1 / _POINTS, 1.0, _POINTS)
    chosen = np.unique(np.searchsorted(recall, grid[grid <= recall[-1]]))
    return tuple(zip(recall[chosen].tolist(), precision[chosen].tolist(), strict=True))
