"""The whole study in one table: a row per model and mitigation, a column per benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equipoise.conclusions import Change, Comparison, Verdict
from equipoise.records import Estimate, Measurement
from equipoise.report.axis import minus
from equipoise.report.chapters import apply_verdict, verdict_badges
from equipoise.report.page_rows import Badge, badge_of
from equipoise.report.sentences import numbers
from equipoise.report.setting_names import Setting, setting_names, setting_of
from equipoise.study.study import Chapter, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixColumn:
    """A benchmark's first metric."""

    name: str
    metric: str
    unit: str
    ideal: str  # "" where it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """The value after a mitigation, or of the model as it is; None in the table: not measured."""

    value: str
    interval: str  # 95 %
    before: str  # "" for the model as it is
    badge: Badge | None  # None for the model as it is
    sort: float

    @property
    def key(self) -> str:
        """What the page's script sorts by."""
        return f"{self.sort:.7g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """One model, as it is or after a mitigation."""

    model: str
    mitigation: str | None
    chapter: int | None  # whose part of the page tells more
    bias: Badge | None
    ability: Badge | None
    entries: tuple[MatrixCell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All of it."""

    columns: tuple[MatrixColumn, ...]
    lines: tuple[MatrixRow, ...]


def matrix(study: Study) -> Matrix:
    """Every model as it is, followed by its mitigations, in the order of the study."""
    base = _group_bases(study)
    compared = [comparison for chapter in study.chapters for comparison in chapter.comparisons]
    measured = [
        *(m for measurements in base.values() for m in measurements),
        *(comparison.before for comparison in compared),
    ]
    names = setting_names(measured)
    lines: list[MatrixRow] = []
    for model in dict.fromkeys([*base, *(chapter.model for chapter in study.chapters)]):
        lines.append(_base_row(model, base.get(model, []), names))
        lines += [
            _chapter_row(number, chapter, names)
            for number, chapter in enumerate(study.chapters)
            if chapter.model == model
        ]
    columns = tuple(_make_column(names[key], _find_measured(measured, key)) for key in names)
    return Matrix(columns=columns, lines=tuple(lines))


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


def _find_measured(measured: Sequence[Measurement], key: Setting) -> Measurement:
    return next(measurement for measurement in measured if setting_of(measurement) == key)


def _make_column(name: str, measurement: Measurement) -> MatrixColumn:
    headline = _headline(measurement)
    if headline is None:
        return MatrixColumn(name=name, metric="", unit="", ideal="")
    ideal = "" if headline.ideal is None else minus(f"{headline.ideal:g}")
    return MatrixColumn(name=name, metric=headline.metric, unit=headline.unit, ideal=ideal)


def _headline(measurement: Measurement) -> Estimate | None:
    """The first metric, overall."""
    return next((estimate for estimate in measurement.estimates if not estimate.group), None)


def _base_row(
    model: str, measured: Sequence[Measurement], names: Mapping[Setting, str]
) -> MatrixRow:
    headlines = {setting_of(measurement): _headline(measurement) for measurement in measured}
    return MatrixRow(
        model=model,
        mitigation=None,
        chapter=None,
        bias=None,
        ability=None,
        entries=tuple(_estimate_cell(headlines.get(key)) for key in names),
    )


def _estimate_cell(estimate: Estimate | None) -> MatrixCell | None:
    if estimate is None:
        return None
    value, low, high = map(minus, numbers(estimate.value, estimate.low, estimate.high))
    return MatrixCell(
        value=value,
        interval=_format_interval(low, high),
        before="",
        badge=None,
        sort=estimate.value,
    )


def _chapter_row(number: int, chapter: Chapter, names: Mapping[Setting, str]) -> MatrixRow:
    comparisons = {setting_of(comparison.before): comparison for comparison in chapter.comparisons}
    bias, ability = verdict_badges(chapter.verdict)
    return MatrixRow(
        model=chapter.model,
        mitigation=chapter.mitigation,
        chapter=number,
        bias=bias,
        ability=ability,
        entries=tuple(
            _change_cell(_overall_change(comparisons.get(key), chapter.verdict)) for key in names
        ),
    )


def _overall_change(comparison: Comparison | None, verdict: Verdict) -> Change | None:
    changes = () if comparison is None else apply_verdict(comparison, verdict)
    return next((change for change in changes if not change.group), None)


def _change_cell(change: Change | None) -> MatrixCell | None:
    if change is None:
        return None
    ends = change.after_low, change.after_high
    value, low, high, before = map(minus, numbers(change.after, *ends, change.before))
    return MatrixCell(
        value=value,
        interval=_format_interval(low, high),
        before=before,
        badge=badge_of(change),
        sort=change.after,
    )


def _format_interval(low: str, high: str) -> str:
    return "" if "n/a" in (low, high) else f"[{low}, {high}]"
