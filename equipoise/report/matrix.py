"""The whole study in one table: a row a model and mitigation, a column a benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equipoise.conclusions import Change, Comparison, Direction, Verdict
from equipoise.records import Estimate, Measurement
from equipoise.report.axis import minus
from equipoise.report.judged import judged
from equipoise.report.page_rows import Badge, badge, badge_of
from equipoise.report.sentences import numbers
from equipoise.report.setting_names import Setting, setting_names, setting_of
from equipoise.study.study import Chapter, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A benchmark's first metric."""

    name: str
    metric: str
    unit: str
    ideal: str  # "" where it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
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
class Line:
    """One model, as it is or after a mitigation."""

    model: str
    mitigation: str | None
    chapter: int | None  # whose part of the page tells more
    bias: Badge | None
    ability: Badge | None
    entries: tuple[Entry | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All of it."""

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]


def matrix(study: Study) -> Matrix:
    """Every model as it is, followed by its mitigations, in the order of the study."""
    base = _bases(study)
    compared = [comparison for chapter in study.chapters for comparison in chapter.comparisons]
    measured = [*(m for those in base.values() for m in those), *(one.before for one in compared)]
    names = setting_names(measured)
    lines: list[Line] = []
    for model in dict.fromkeys([*base, *(chapter.model for chapter in study.chapters)]):
        lines.append(_base_line(model, base.get(model, []), names))
        lines += [
            _chapter_line(number, chapter, names)
            for number, chapter in enumerate(study.chapters)
            if chapter.model == model
        ]
    columns = tuple(_column(names[key], _first(measured, key)) for key in names)
    return Matrix(columns=columns, lines=tuple(lines))


def verdict_badges(verdict: Verdict) -> tuple[Badge, Badge]:
    """The verdict's bias and ability, a word each."""
    direction: Direction = "reversed" if verdict.over_corrected else verdict.direction
    bias = badge(direction)
    if not verdict.bias:
        bias = Badge(tone="unknown", word="not measured")
    if not verdict.ability:
        return bias, Badge(tone="unknown", word="not measured")
    if verdict.kept:
        return bias, Badge(tone="better", word="kept")
    if verdict.kept is None:
        return bias, Badge(tone="unclear", word="not shown kept")
    return bias, Badge(tone="worse", word="lost")


def _bases(study: Study) -> dict[str, list[Measurement]]:
    """Model to what was measured of it as it is; of comparisons where nothing else says so."""
    found: dict[str, list[Measurement]] = {}
    for one in study.measured:
        if one.mitigation is None:
            found.setdefault(one.model, []).append(one.measurement)
    for chapter in study.chapters:
        known = found.setdefault(chapter.model, [])
        settings = {setting_of(one) for one in known}
        for comparison in chapter.comparisons:
            if setting_of(comparison.before) not in settings:
                settings.add(setting_of(comparison.before))
                known.append(comparison.before)
    return found


def _first(measured: Sequence[Measurement], key: Setting) -> Measurement:
    return next(one for one in measured if setting_of(one) == key)


def _column(name: str, one: Measurement) -> Column:
    headline = _headline(one)
    if headline is None:
        return Column(name=name, metric="", unit="", ideal="")
    ideal = "" if headline.ideal is None else minus(f"{headline.ideal:g}")
    return Column(name=name, metric=headline.metric, unit=headline.unit, ideal=ideal)


def _headline(one: Measurement) -> Estimate | None:
    """The first metric, overall."""
    return next((estimate for estimate in one.estimates if not estimate.group), None)


def _base_line(model: str, measured: Sequence[Measurement], names: Mapping[Setting, str]) -> Line:
    found = {setting_of(one): _headline(one) for one in measured}
    return Line(
        model=model,
        mitigation=None,
        chapter=None,
        bias=None,
        ability=None,
        entries=tuple(_estimated(found.get(key)) for key in names),
    )


def _estimated(one: Estimate | None) -> Entry | None:
    if one is None:
        return None
    value, low, high = map(minus, numbers(one.value, one.low, one.high))
    return Entry(value=value, interval=_held(low, high), before="", badge=None, sort=one.value)


def _chapter_line(number: int, chapter: Chapter, names: Mapping[Setting, str]) -> Line:
    found = {setting_of(comparison.before): comparison for comparison in chapter.comparisons}
    bias, ability = verdict_badges(chapter.verdict)
    return Line(
        model=chapter.model,
        mitigation=chapter.mitigation,
        chapter=number,
        bias=bias,
        ability=ability,
        entries=tuple(_changed(_overall(found.get(key), chapter.verdict)) for key in names),
    )


def _overall(comparison: Comparison | None, verdict: Verdict) -> Change | None:
    changes = () if comparison is None else judged(comparison, verdict)
    return next((change for change in changes if not change.group), None)


def _changed(change: Change | None) -> Entry | None:
    if change is None:
        return None
    ends = change.after_low, change.after_high
    value, low, high, before = map(minus, numbers(change.after, *ends, change.before))
    return Entry(
        value=value,
        interval=_held(low, high),
        before=before,
        badge=badge_of(change),
        sort=change.after,
    )


def _held(low: str, high: str) -> str:
    return "" if "n/a" in (low, high) else f"[{low}, {high}]"
