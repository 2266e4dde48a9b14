"""The page as a whole: a study, or comparisons alone, made ready for the template."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from equipoise.conclusions import Comparison, Finding
from equipoise.report.baselines import Baseline, baselines
from equipoise.report.block_plot import BlockPlot, block_plots
from equipoise.report.chapters import ChapterView, chapter_view, describe_edit, model_edits
from equipoise.report.curves import Curves, curves
from equipoise.report.matrix import Matrix, matrix
from equipoise.report.provenance import Provenance, provenance
from equipoise.report.sections import RowLimits
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import Chapter, Missing, Study

_OPEN = 3  # chapters that are not folded
_ROWS = 3000  # of groups, on the whole page
_EVERYTHING = 24  # comparisons of which the groups of every metric are listed
_LEVELS = ("error", "warning", "ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingGroup:
    """One thing that a check found, and everywhere it did."""

    check: str
    level: str  # "error", "warning" or "ok"
    text: str
    where: tuple[str, ...]  # at least one


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the template is given."""

    title: str
    lead: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]  # (number, what it counts)
    matrix: Matrix | None
    chapters: tuple[ChapterView, ...]
    folded: bool  # whether chapters are
    baselines: tuple[Baseline, ...]
    blocks: tuple[BlockPlot, ...]
    calibrations: tuple[Curves, ...]
    findings: tuple[Finding, ...] | None  # gravest first; None: the page is not of a study
    finding_groups: tuple[FindingGroup, ...]  # the same, equal ones grouped
    missing: tuple[Missing, ...]
    planned: int
    provenance: Provenance


def of_study(study: Study, *, lead: Sequence[str]) -> Overview:
    """The page of a study."""
    limits = _limit_rows(study)
    table = matrix(study)
    findings = tuple(sorted(study.findings, key=lambda finding: _LEVELS.index(finding.level)))
    seeds = {
        measured.measurement.model: measured.seed
        for measured in study.measured
        if measured.seed is not None
    }
    return Overview(
        title=study.title,
        lead=tuple(lead),
        facts=tuple(_count_facts(study)),
        matrix=table if table.lines else None,
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
        baselines=baselines(study, most=limits.groups),
        blocks=block_plots(study.located),
        calibrations=tuple(curves(calibration) for calibration in study.calibrations),
        findings=findings,
        finding_groups=group_findings(findings),
        missing=study.missing,
        planned=study.planned,
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


def group_findings(findings: Iterable[Finding]) -> tuple[FindingGroup, ...]:
    """Group findings with the same check, level and text, in the order of their first."""
    places: dict[tuple[str, str, str], list[str]] = {}
    for finding in findings:
        key = finding.check, finding.level, finding.text
        places.setdefault(key, []).append(finding.where)
    return tuple(
        FindingGroup(check=check, level=level, text=text, where=tuple(dict.fromkeys(where)))
        for (check, level, text), where in places.items()
    )


def _limit_rows(study: Study) -> RowLimits:
    """A fair share of the page's rows; all of them in a study of usual size."""
    comparisons = sum(len(chapter.comparisons) for chapter in study.chapters)
    share = max(12, _ROWS // max(1, comparisons))
    return RowLimits(
        groups=share,
        others=share if comparisons <= _EVERYTHING else 0,
        dots=share if comparisons <= _EVERYTHING else 12,
    )


def _count_facts(study: Study) -> Iterable[tuple[str, str]]:
    pairs = [(singular.model, singular.measurement.benchmark) for singular in study.measured]
    pairs += [
        (chapter.model, comparison.before.benchmark)
        for chapter in study.chapters
        for comparison in chapter.comparisons
    ]
    seeds = {singular.seed for singular in study.measured if singular.seed is not None}
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
