"""The study as a whole: what is counted, checked, measured alone, and every model in a table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from equipoise.conclusions import Change, Direction, Finding
from equipoise.records import Estimate, Measurement
from equipoise.report.nulls import null_span
from equipoise.report.provenance import Setting, setting_names, setting_of
from equipoise.study.study import Study

_ROWS = 3000  # of groups, on the whole page
_EVERYTHING = 24  # comparisons of which the groups of every metric are listed
_LEVELS = ("error", "warning", "ok")
_Shown = TypeVar("_Shown", Change, Estimate)


class RowLimits(NamedTuple):
    """How many rows a list may have, so that the page of a big study still opens."""

    groups: int  # of a benchmark's first metric
    others: int  # of all its other metrics together
    dots: int  # professions listed beside their plot, which draws all


def limit_rows(study: Study) -> RowLimits:
    """A fair share of the page's rows; all of them in a study of usual size."""
    comparisons = sum(len(chapter.comparisons) for chapter in study.chapters)
    share = max(12, _ROWS // max(1, comparisons))
    usual = comparisons <= _EVERYTHING
    return RowLimits(share, share if usual else 0, share if usual else 12)


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


def measured_alone(study: Study) -> Iterator[tuple[str, Measurement]]:
    """The measurements on neither side of a comparison, each under a title, in their order."""

    def identify(measurement: Measurement) -> tuple[object, ...]:
        setting = setting_of(measurement)
        return measurement.model, setting, measurement.seed, measurement.examples_sha256

    compared = {
        identify(measurement)
        for chapter in study.chapters
        for comparison in chapter.comparisons
        for measurement in comparison.sides
    }
    alone = [each for each in study.measured if identify(each.measurement) not in compared]
    names = setting_names(measured.measurement for measured in alone)
    for measured in alone:
        of_seed = "" if measured.seed is None else f", seed {measured.seed}"
        method = "" if measured.mitigation is None else f" after {measured.mitigation}{of_seed}"
        name = names[setting_of(measured.measurement)]
        yield f"{name} of {measured.model}{method}", measured.measurement


def count_facts(study: Study) -> Iterator[tuple[str, str]]:
    """Numbers of models, methods, benchmarks, seeds and steps, each with what it counts."""
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


def directions_of(study: Study) -> set[Direction]:
    """Every direction that a change or a verdict of the study has."""
    directions: set[Direction] = set()
    for chapter in study.chapters:
        directions |= {chapter.verdict.direction}
        directions |= {
            each.direction for compared in chapter.comparisons for each in compared.changes
        }
    return directions


class MatrixRow(NamedTuple):
    """A model as it is, with its estimates, or after a mitigation, with the changes."""

    model: str
    chapter: int | None  # whose part of the page says more; None: the model as it is
    entries: list[Estimate | Change | None]  # by column; None: not measured
    nulls: list[str]  # by column: what rules without bias get, of the model as it is; "": unknown


def measured_bases(study: Study) -> dict[str, dict[Setting, Measurement]]:
    """The measurements of every model as it is, by model and setting, in the study's order.

    It was measured on its own, or is a side of comparisons that were made elsewhere.
    """
    bases: dict[str, dict[Setting, Measurement]] = {}
    for measured in study.measured:
        if measured.mitigation is None:
            known = bases.setdefault(measured.model, {})
            known[setting_of(measured.measurement)] = measured.measurement
    for chapter in study.chapters:
        known = bases.setdefault(chapter.model, {})
        # what another mitigation stands before is no model as it is
        for comparison in () if chapter.against else chapter.comparisons:
            known.setdefault(setting_of(comparison.before), comparison.before)
    return bases


def matrix(study: Study) -> tuple[Mapping[str, Estimate | None], list[MatrixRow]]:
    """The columns, a setting's name to its first metric, and a row per model and mitigation.

    Every model as it is, followed by its mitigations, in the order of the study. Its chapters are
    as `chapters.apply_verdict` gives them.
    """
    bases = measured_bases(study)
    measurements = [measurement for known in bases.values() for measurement in known.values()]
    names = setting_names(measurements)
    columns: dict[str, Estimate | None] = {}
    for measurement in measurements:
        first = _overall(measurement.estimates, measurement.headline)
        columns.setdefault(names[setting_of(measurement)], first)
    rows = []
    for model, known in bases.items():
        estimates = {
            setting: _overall(measured.estimates, measured.headline)
            for setting, measured in known.items()
        }
        spans = {
            setting: null_span(known[setting], estimate)
            for setting, estimate in estimates.items()
            if estimate is not None
        }
        entries: list[Estimate | Change | None] = [estimates.get(setting) for setting in names]
        rows.append(MatrixRow(model, None, entries, [spans.get(setting, "") for setting in names]))
        for index, chapter in enumerate(study.chapters):
            if chapter.model == model:
                changes = {
                    setting_of(comparison.before): _overall(
                        comparison.changes, comparison.before.headline
                    )
                    for comparison in chapter.comparisons
                }
                moved: list[Estimate | Change | None] = [changes.get(setting) for setting in names]
                rows.append(MatrixRow(model, index, moved, [""] * len(moved)))
    return columns, rows


def _overall(records: Sequence[_Shown], headline: Sequence[str]) -> _Shown | None:
    """The first headline, overall; of results without any the first metric."""
    overall = [record for record in records if not record.group]
    named = (record for record in overall if record.metric in headline[:1])
    return next(named, overall[0] if overall else None)
