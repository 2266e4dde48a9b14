"""The whole study in one table: a row per model and mitigation, a column per benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equipoise.conclusions import Comparison
from equipoise.records import Estimate, Measurement
from equipoise.report.axis import minus
from equipoise.report.chapters import apply_verdict
from equipoise.report.provenance import Setting, setting_names, setting_of
from equipoise.report.rows import Badge, Cell, badge_of, cell
from equipoise.report.sentences import brackets, numbers
from equipoise.study.study import Chapter, Study


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
    rows: list[MatrixRow] = []
    for model, measurements in bases.items():
        rows.append(_base_row(model, measurements, names))
        rows += [
            _chapter_row(index, chapter, names)
            for index, chapter in enumerate(study.chapters)
            if chapter.model == model
        ]
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


def _base_row(
    model: str, measured: Sequence[Measurement], names: Mapping[Setting, str]
) -> MatrixRow:
    headlines = {setting_of(measurement): _headline(measurement) for measurement in measured}
    estimates = map(headlines.get, names)
    return MatrixRow(
        model=model,
        chapter=None,
        entries=tuple(
            MatrixCell(cell=cell(e.value, e.low, e.high)) if e is not None else None
            for e in estimates
        ),
    )


def _chapter_row(index: int, chapter: Chapter, names: Mapping[Setting, str]) -> MatrixRow:
    comparisons = {setting_of(comparison.before): comparison for comparison in chapter.comparisons}
    return MatrixRow(
        model=chapter.model,
        chapter=index,
        entries=tuple(
            _change_cell(comparisons[key], chapter) if key in comparisons else None for key in names
        ),
    )


def _change_cell(comparison: Comparison, chapter: Chapter) -> MatrixCell | None:
    changes = apply_verdict(comparison, chapter.verdict)
    change = next((change for change in changes if not change.group), None)
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
