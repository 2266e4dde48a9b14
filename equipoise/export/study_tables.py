"""A study as sheets: one row an estimate, a block, a metric's curve, a finding, a missing step."""

from collections.abc import Mapping, Sequence

from equipoise.conclusions import Finding
from equipoise.export.source_columns import (
    ASKED,
    NUMBER_OF,
    REASON,
    SOURCE,
    as_json,
    asked,
    group_text,
    source,
)
from equipoise.export.table_data import Cell, Column, Sheet
from equipoise.records import Estimate
from equipoise.report.setting_names import Setting, setting_names
from equipoise.stats.calibration import Calibration
from equipoise.study.study import Located, Measured, Missing

_ESTIMATE = (
    Column(name="model"),
    Column(name="mitigation"),
    Column(name="seed", kind="number"),
    *ASKED,
    Column(name="metric"),
    Column(name="group"),
    Column(name="value", kind="span", ends=("low", "high")),
    *NUMBER_OF,
    REASON,
    Column(name="model_identity", seen="exact"),
    Column(name="measured_with_seed", seen="exact"),
    Column(name="draws", seen="exact"),
    *SOURCE,
)
_RANKING = (
    Column(name="model"),
    Column(name="locator"),
    Column(name="seed", kind="number"),
    Column(name="block", kind="number"),
    Column(name="rank", kind="number"),
    Column(name="score", kind="span", ends=("low", "high")),
    Column(name="unit"),
    Column(name="prompts", kind="number", seen="varied"),
    Column(name="times_first", kind="number"),
    Column(name="spearman", kind="number", seen="varied"),
    Column(name="spearman_low", kind="number", seen="exact"),
    REASON,
)
_CURVE = (
    Column(name="benchmark"),
    Column(name="version", seen="varied"),
    Column(name="options", seen="varied"),
    Column(name="metric"),
    Column(name="slope", kind="span"),
    Column(name="spearman", kind="number"),
    Column(name="unit"),
    Column(name="ideal", kind="number"),
    Column(name="strengths"),
    Column(name="seeds"),
    REASON,
)


def estimates_table(measured: Sequence[Measured], *, groups: bool = False) -> Sheet:
    """One row an overall estimate; with `groups`, one row an estimate of a group instead."""
    names = setting_names(one.measurement for one in measured)
    rows = [
        _estimate_row(one, estimate, names)
        for one in measured
        for estimate in one.measurement.estimates
        if bool(estimate.group) == groups
    ]
    return Sheet(columns=_ESTIMATE, rows=tuple(rows))


def _estimate_row(
    one: Measured, estimate: Estimate, names: Mapping[Setting, str]
) -> tuple[Cell, ...]:
    of = one.measurement
    return (
        one.model,
        one.mitigation,
        one.seed,
        *asked(of, names),
        estimate.metric,
        group_text(estimate.group),
        (estimate.value, estimate.low, estimate.high),
        estimate.unit,
        estimate.ideal,
        estimate.higher_is_better,
        estimate.n,
        estimate.clusters,
        estimate.reason,
        of.model,
        of.seed,
        of.draws,
        *source(of),
    )


def rankings_table(located: Sequence[Located]) -> Sheet:
    """One row a block and seed, with the block's score and its rank, 1 the first."""
    rows: list[tuple[Cell, ...]] = []
    for one in located:
        found = one.stability
        for seed, ranking in zip(found.seeds, found.rankings, strict=True):
            ranks = {block: rank for rank, block in enumerate(ranking.order, start=1)}
            rows += [
                (
                    one.model,
                    one.locator,
                    seed,
                    block,
                    ranks[block],
                    (ranking.scores[block], ranking.low[block], ranking.high[block]),
                    ranking.unit,
                    ranking.prompts,
                    found.first.get(block, 0),
                    found.spearman,
                    found.spearman_low,
                    found.reason,
                )
                for block in range(len(ranking.scores))
            ]
    return Sheet(columns=_RANKING, rows=tuple(rows))


def calibrations_table(calibrations: Sequence[Calibration]) -> Sheet:
    """One row a metric: its slope over planted strength and its monotonicity."""
    rows = [
        (
            calibration.benchmark,
            calibration.version,
            as_json(calibration.options),
            curve.metric,
            (curve.slope, curve.slope_low, curve.slope_high),
            curve.spearman,
            curve.unit,
            curve.ideal,
            " ".join(f"{strength:g}" for strength in calibration.strengths),
            " ".join(map(str, calibration.seeds)),
            curve.reason,
        )
        for calibration in calibrations
        for curve in calibration.curves
    ]
    return Sheet(columns=_CURVE, rows=tuple(rows))


def findings_table(findings: Sequence[Finding]) -> Sheet:
    """One row a finding of an automatic check."""
    columns = tuple(Column(name=name) for name in ("check", "level", "where", "text"))
    return Sheet(
        columns=columns,
        rows=tuple(
            (finding.check, finding.level, finding.where, finding.text) for finding in findings
        ),
    )


def missing_table(missing: Sequence[Missing]) -> Sheet:
    """One row a step without a result; tracebacks are for machines alone."""
    columns = (Column(name="what"), Column(name="why"), Column(name="traceback", seen="exact"))
    return Sheet(columns=columns, rows=tuple((one.what, one.why, one.traceback) for one in missing))
