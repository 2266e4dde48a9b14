"""The whole study in a table: a row per model and mitigation, a column per benchmark."""

from collections.abc import Mapping
from dataclasses import dataclass

from equipoise.conclusions import Change, Comparison, Verdict
from equipoise.records import Estimate, Measurement
from equipoise.report.axis import minus
from equipoise.report.chapters import apply_verdict
from equipoise.report.provenance import setting_names, setting_of
from equipoise.report.rows import Badge, Cell, badge_of, cell
from equipoise.report.sentences import brackets, numbers
from equipoise.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """The value after a mitigation, or of the model as it is; None in the table: not measured."""

    cell: Cell
    before: str = ""  # "" for the model as it is
    badge: Badge | None = None  # None for the model as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """One model, as it is or after a mitigation."""

    model: str
    chapter: int | None  # whose part of the page says more; None: the model as it is
    entries: tuple[MatrixCell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All of it."""

    columns: Mapping[str, Estimate | None]  # setting's name to its first metric
    rows: tuple[MatrixRow, ...]


def matrix(study: Study) -> Matrix:
    """Every model as it is, followed by its mitigations, in the order of the study."""
    bases = _group_bases(study)
    measured = [measurement for measurements in bases.values() for measurement in measurements]
    measured += [
        comparison.before for chapter in study.chapters for comparison in chapter.comparisons
    ]
    names = setting_names(measured)
    rows = []
    for model, measurements in bases.items():
        estimates = {
            setting_of(measurement): _headline(measurement) for measurement in measurements
        }
        entries = tuple(_estimate_cell(estimates.get(key)) for key in names)
        rows.append(MatrixRow(model=model, chapter=None, entries=entries))
        for index, chapter in enumerate(study.chapters):
            if chapter.model == model:
                changes = {
                    setting_of(comparison.before): _overall_change(comparison, chapter.verdict)
                    for comparison in chapter.comparisons
                }
                entries = tuple(_change_cell(changes.get(key)) for key in names)
                rows.append(MatrixRow(model=model, chapter=index, entries=entries))
    first = {setting_of(measurement): _headline(measurement) for measurement in reversed(measured)}
    return Matrix(columns={names[key]: first[key] for key in names}, rows=tuple(rows))


def _group_bases(study: Study) -> dict[str, list[Measurement]]:
    """Model to what was measured of it as it is; of comparisons where nothing else says so."""
    bases: dict[str, list[Measurement]] = {}
    for measured in study.measured:
        if measured.mitigation is None:
            bases.setdefault(measured.model, []).append(measured.measurement)
    for chapter in study.chapters:
        known = bases.setdefault(chapter.model, [])
        settings = {setting_of(measured) for measured in known}
        for comparison in chapter.comparisons:
            if setting_of(comparison.before) not in settings:
                settings.add(setting_of(comparison.before))
                known.append(comparison.before)
    return bases


def _headline(measurement: Measurement) -> Estimate | None:
    """The first metric, overall."""
    return next((estimate for estimate in measurement.estimates if not estimate.group), None)


def _estimate_cell(estimate: Estimate | None) -> MatrixCell | None:
    if estimate is None:
        return None
    return MatrixCell(cell=cell(estimate.value, estimate.low, estimate.high))


def _overall_change(comparison: Comparison, verdict: Verdict) -> Change | None:
    changes = apply_verdict(comparison, verdict)
    return next((change for change in changes if not change.group), None)


def _change_cell(change: Change | None) -> MatrixCell | None:
    if change is None:
        return None
    value, before, *ends = map(
        minus, numbers(change.after, change.before, change.after_low, change.after_high)
    )
    return MatrixCell(
        cell=Cell(value=value, interval=brackets(*ends), sort=change.after),
        before=before,
        badge=badge_of(change),
    )
