"""The page as a whole: a study, or comparisons alone, made ready for the template."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from equipoise.conclusions import Change, Comparison, Finding, Verdict
from equipoise.records import Estimate, Measurement
from equipoise.report.axis import minus
from equipoise.report.chapters import (
    ChapterView,
    RowLimits,
    apply_verdict,
    chapter_view,
    describe_edit,
    model_edits,
)
from equipoise.report.plots import CurvePlot, Panel, curve_plots, panels
from equipoise.report.provenance import Provenance, provenance, setting_names, setting_of
from equipoise.report.rows import Badge, Cell, badge_of, cell
from equipoise.report.sentences import brackets, numbers
from equipoise.stats.calibration import Calibration
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import Chapter, Study

_OPEN = 3  # chapters that are not folded
_ROWS = 3000  # of groups, on the whole page
_EVERYTHING = 24  # comparisons of which the groups of every metric are listed
_LEVELS = ("error", "warning", "ok")


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
    """The whole study in a table: a row per model and mitigation, a column per benchmark."""

    columns: Mapping[str, Estimate | None]  # setting's name to its first metric
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the template is given."""

    study: Study
    lead: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]  # (number, what it counts)
    matrix: Matrix
    chapters: tuple[ChapterView, ...]
    folded: bool  # whether chapters are
    baselines: tuple[tuple[str, Measurement], ...]  # title, and what no chapter compares
    limits: RowLimits
    blocks: Mapping[str, Sequence[Panel]]  # by model
    calibrations: tuple[tuple[Calibration, tuple[CurvePlot, ...]], ...]
    findings: Mapping[Finding, tuple[str, ...]] | None  # and its places; None: no study's page
    provenance: Provenance


def of_study(study: Study, *, lead: Sequence[str]) -> Overview:
    """The page of a study."""
    limits = _limit_rows(study)
    seeds = {
        measured.measurement.model: measured.seed
        for measured in study.measured
        if measured.seed is not None
    }
    return Overview(
        study=study,
        lead=tuple(lead),
        facts=tuple(_count_facts(study)),
        matrix=matrix(study),
        chapters=tuple(
            chapter_view(
                chapter,
                title=f"{chapter.mitigation} on {chapter.model}",
                edits=map(describe_edit, chapter.edits),
                seeds=seeds,
                limits=limits,
            )
            for chapter in study.chapters
        ),
        folded=len(study.chapters) > _OPEN,
        baselines=tuple(_baselines(study)),
        limits=limits,
        blocks=panels(study.located),
        calibrations=tuple((each, curve_plots(each)) for each in study.calibrations),
        findings=group_findings(study.findings),
        provenance=provenance(study),
    )


def of_comparisons(
    comparisons: Sequence[Comparison],
    *,
    title: str,
    lead: Sequence[str],
    names: Mapping[str, str],
) -> Overview:
    """The page of comparisons alone: a chapter per pair of models, named by the edited model."""
    pairs: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in comparisons:
        pairs.setdefault((comparison.before.model, comparison.after.model), []).append(comparison)
    chapters = tuple(
        Chapter(
            model=before,
            mitigation=names.get(after, after),
            comparisons=tuple(alike),
            verdict=verdict_of(alike),
            edits=(),
        )
        for (before, after), alike in pairs.items()
    )
    study = Study(title=title, recipe={}, chapters=chapters)
    views = tuple(
        chapter_view(
            chapter,
            title=names.get(after, f"{before} → {after}"),
            edits=model_edits(chapter.comparisons[0].after.model_info),
            seeds={},
            limits=_limit_rows(study),
        )
        for (before, after), chapter in zip(pairs, chapters, strict=True)
    )
    return replace(of_study(study, lead=lead), chapters=views, facts=(), findings=None)


def group_findings(findings: Iterable[Finding]) -> dict[Finding, tuple[str, ...]]:
    """The first finding of each check, level and text, and every place where it holds.

    Gravest first, then in the given order.
    """
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: _LEVELS.index(finding.level)):
        groups.setdefault((finding.check, finding.level, finding.text), []).append(finding)
    return {
        alike[0]: tuple(dict.fromkeys(finding.where for finding in alike))
        for alike in groups.values()
    }


def _baselines(study: Study) -> Iterable[tuple[str, Measurement]]:
    """The measurements that are on neither side of a comparison, in the order of the study."""
    compared = {
        _identify(measurement)
        for chapter in study.chapters
        for comparison in chapter.comparisons
        for measurement in (comparison.before, *comparison.afters)
    }
    alone = [each for each in study.measured if _identify(each.measurement) not in compared]
    names = setting_names(measured.measurement for measured in alone)
    for measured in alone:
        of_seed = "" if measured.seed is None else f", seed {measured.seed}"
        method = "" if measured.mitigation is None else f" after {measured.mitigation}{of_seed}"
        name = names[setting_of(measured.measurement)]
        yield f"{name} of {measured.model}{method}", measured.measurement


def _identify(measurement: Measurement) -> tuple[object, ...]:
    return measurement.model, setting_of(measurement), measurement.seed, measurement.examples_sha256


def _limit_rows(study: Study) -> RowLimits:
    """A fair share of the page's rows; all of them in a study of usual size."""
    comparisons = sum(len(chapter.comparisons) for chapter in study.chapters)
    share = max(12, _ROWS // max(1, comparisons))
    usual = comparisons <= _EVERYTHING
    return RowLimits(groups=share, others=share if usual else 0, dots=share if usual else 12)


def _count_facts(study: Study) -> Iterable[tuple[str, str]]:
    pairs = [(measured.model, measured.measurement.benchmark) for measured in study.measured]
    pairs += [
        (chapter.model, comparison.before.benchmark)
        for chapter in study.chapters
        for comparison in chapter.comparisons
    ]
    seeds = {measured.seed for measured in study.measured if measured.seed is not None}
    mitigations = {chapter.mitigation for chapter in study.chapters}
    counts = (
        (len({model for model, _ in pairs}), "model", "models"),
        (len(mitigations), "mitigation", "mitigations"),
        (len({benchmark for _, benchmark in pairs}), "benchmark", "benchmarks"),
        (len(seeds), "seed of a mitigation", "seeds of each mitigation"),
    )
    for count, singular, plural in counts:
        if count:
            yield str(count), singular if count == 1 else plural
    if study.planned:
        yield f"{max(0, study.planned - len(study.missing))} of {study.planned}", "steps done"


# --- the whole study in a table -----------------------------------------------------------------


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
