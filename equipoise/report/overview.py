"""The page as a whole: a study, or comparisons alone, made ready for the template."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from equipoise.conclusions import Comparison, Finding
from equipoise.report.baselines import Uncompared, uncompared
from equipoise.report.block_plot import BlockPlot, block_plots
from equipoise.report.chapters import ChapterView, Told, chapter_view, model_edits, titled
from equipoise.report.checked import Checked, gathered
from equipoise.report.curves import Curves, curves
from equipoise.report.matrix import Matrix, matrix
from equipoise.report.provenance import Provenance, provenance
from equipoise.report.sections import Most
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import Chapter, Missing, Study

_OPEN = 3  # chapters that are not folded
_ROWS = 3000  # of groups, on the whole page
_EVERYTHING = 24  # comparisons of which the groups of every metric are listed
_LEVELS = ("error", "warning", "ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the template is given."""

    title: str
    lead: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]  # (number, what it counts)
    matrix: Matrix | None
    chapters: tuple[ChapterView, ...]
    folded: bool  # whether chapters are
    uncompared: tuple[Uncompared, ...]
    blocks: tuple[BlockPlot, ...]
    calibrations: tuple[Curves, ...]
    findings: tuple[Finding, ...] | None  # gravest first; None: the page is not of a study
    checked: tuple[Checked, ...]  # the same, those alike as one
    missing: tuple[Missing, ...]
    planned: int
    provenance: Provenance


def of_study(study: Study, *, lead: Sequence[str]) -> Overview:
    """The page of a study."""
    seeds = {one.measurement.model: one.seed for one in study.measured if one.seed is not None}
    most = _most(sum(len(chapter.comparisons) for chapter in study.chapters))
    alone = uncompared(study, most=most.groups)
    whole = matrix(study)
    findings = tuple(sorted(study.findings, key=lambda one: _LEVELS.index(one.level)))
    return Overview(
        title=study.title,
        lead=tuple(lead),
        facts=tuple(_facts(study)),
        matrix=whole if whole.lines else None,
        chapters=tuple(chapter_view(chapter, seeds=seeds, most=most) for chapter in study.chapters),
        folded=len(study.chapters) > _OPEN,
        uncompared=alone,
        blocks=block_plots(study.located),
        calibrations=tuple(curves(calibration) for calibration in study.calibrations),
        findings=findings,
        checked=gathered(findings),
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
    """The page of comparisons alone: a chapter a pair of models, named by the edited one."""
    pairs: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in comparisons:
        pairs.setdefault((comparison.before.model, comparison.after.model), []).append(comparison)
    chapters = tuple(
        Chapter(
            model=before,
            mitigation=names.get(after, after),
            comparisons=tuple(those),
            verdict=verdict_of(those),
            edits=(),
        )
        for (before, after), those in pairs.items()
    )
    whole = of_study(Study(title=title, recipe={}, chapters=chapters), lead=lead)
    most = _most(len(comparisons))
    told = tuple(_pair(chapter, names, most) for chapter in chapters)
    return replace(whole, chapters=told, facts=(), findings=None)


def _pair(chapter: Chapter, names: Mapping[str, str], most: Most) -> ChapterView:
    before, after = chapter.model, chapter.comparisons[0].after
    told = Told(
        title=names.get(after.model, f"{before} → {after.model}"),
        model=before,
        mitigation=chapter.mitigation,
        edits=tuple(model_edits(after.model_info)),
        verdict=chapter.verdict,
    )
    return titled(chapter.comparisons, told, most=most)


def _most(comparisons: int) -> Most:
    """A fair share of the page's rows; all of them in a study of usual size."""
    share = max(12, _ROWS // max(1, comparisons))
    return Most(
        groups=share,
        others=share if comparisons <= _EVERYTHING else 0,
        dots=share if comparisons <= _EVERYTHING else 12,
    )


def _facts(study: Study) -> Iterable[tuple[str, str]]:
    measured = [(one.model, one.measurement.benchmark) for one in study.measured]
    measured += [
        (chapter.model, comparison.before.benchmark)
        for chapter in study.chapters
        for comparison in chapter.comparisons
    ]
    seeds = {one.seed for one in study.measured if one.seed is not None}
    mitigations = {chapter.mitigation for chapter in study.chapters}
    counts = (
        (len({model for model, _ in measured}), "model", "models"),
        (len(mitigations), "mitigation", "mitigations"),
        (len({benchmark for _, benchmark in measured}), "benchmark", "benchmarks"),
        (len(seeds), "seed of a mitigation", "seeds of each mitigation"),
    )
    for count, one, many in counts:
        if count:
            yield str(count), one if count == 1 else many
    if study.planned:
        yield f"{max(0, study.planned - len(study.missing))} of {study.planned}", "steps done"
