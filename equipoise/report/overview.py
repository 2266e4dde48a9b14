"""The page as a whole: a study, or comparisons alone, made ready for the template."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from equipoise.conclusions import Comparison, Finding
from equipoise.records import Measurement
from equipoise.report.chapters import (
    ChapterView,
    RowLimits,
    chapter_view,
    describe_edit,
    model_edits,
)
from equipoise.report.matrix import Matrix, matrix
from equipoise.report.plots import CurvePlot, Panel, curve_plots, panels
from equipoise.report.provenance import Provenance, provenance, setting_names, setting_of
from equipoise.report.rows import EstimateRow, estimate_rows
from equipoise.stats.calibration import Calibration
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import Chapter, Study

_OPEN = 3  # chapters that are not folded
_ROWS = 3000  # of groups, on the whole page
_EVERYTHING = 24  # comparisons of which the groups of every metric are listed
_LEVELS = ("error", "warning", "ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A measurement that no chapter compares with anything: a model as it is, alone."""

    title: str
    measurement: Measurement
    overall: tuple[EstimateRow, ...]
    groups: tuple[EstimateRow, ...]  # of the first metric
    left_out: int  # groups that are not listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the template is given."""

    study: Study
    lead: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]  # (number, what it counts)
    matrix: Matrix
    chapters: tuple[ChapterView, ...]
    folded: bool  # whether chapters are
    baselines: tuple[Baseline, ...]
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
        baselines=tuple(_baselines(study, most=limits.groups)),
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
    """The page of comparisons alone: a chapter per pair of models, named by the edited one."""
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


def _baselines(study: Study, *, most: int) -> Iterable[Baseline]:
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
        measurement = measured.measurement
        of_seed = "" if measured.seed is None else f", seed {measured.seed}"
        method = "" if measured.mitigation is None else f" after {measured.mitigation}{of_seed}"
        overall = [estimate for estimate in measurement.estimates if not estimate.group]
        first = overall[0].metric if overall else ""
        groups = [e for e in measurement.estimates if e.group and e.metric == first]
        yield Baseline(
            title=f"{names[setting_of(measurement)]} of {measured.model}{method}",
            measurement=measurement,
            overall=estimate_rows(overall),
            groups=estimate_rows(groups[:most]),
            left_out=max(0, len(groups) - most),
        )


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
