"""A study of some of its benchmarks and metrics alone."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from equipoise.conclusions import Comparison, title_of
from equipoise.errors import RecipeError, nearest
from equipoise.records import Measurement
from equipoise.study.study import Study


def choose(study: Study, *, benchmarks: Sequence[str] = (), metrics: Sequence[str] = ()) -> Study:
    """The study with the numbers of these benchmarks and metrics; of none named: of all.

    A benchmark is named as the recipe or its plug-in calls it, a metric as "ss" or "stereoset.ss".
    Verdicts, rankings and attributions stay as they are.
    Raises `RecipeError` with the nearest name for one that the study has not.
    """
    if not benchmarks and not metrics:
        return study
    measurements = [measured.measurement for measured in study.measured]
    for chapter in study.chapters:
        measurements += [comparison.before for comparison in chapter.comparisons]
    _check("benchmark", benchmarks, {name for each in measurements for name in _names_of(each)})
    chosen = [each for each in measurements if _is_chosen(each, benchmarks)]
    known = {
        name for each in chosen for row in each.estimates for name in _names_in(each, row.metric)
    }
    _check("metric", metrics, known)

    def cut(measurement: Measurement) -> Measurement:
        rows = [
            row for row in measurement.estimates if _is_metric(measurement, row.metric, metrics)
        ]
        references = [
            replace(
                reference,
                estimates=tuple(
                    row
                    for row in reference.estimates
                    if _is_metric(measurement, row.metric.removesuffix("_change"), metrics)
                ),
            )
            for reference in measurement.references
        ]
        return replace(measurement, estimates=tuple(rows), references=tuple(references))

    def cut_comparison(comparison: Comparison) -> Comparison:
        before = comparison.before
        changes, *by_seed = (
            tuple(change for change in each if _is_metric(before, change.metric, metrics))
            for each in (comparison.changes, *comparison.by_seed)
        )
        return replace(comparison, before=cut(before), changes=changes, by_seed=tuple(by_seed))

    return replace(
        study,
        measured=tuple(
            replace(measured, measurement=cut(measured.measurement))
            for measured in study.measured
            if _is_chosen(measured.measurement, benchmarks)
        ),
        chapters=tuple(
            replace(
                chapter,
                comparisons=tuple(
                    cut_comparison(comparison)
                    for comparison in chapter.comparisons
                    if _is_chosen(comparison.before, benchmarks)
                ),
            )
            for chapter in study.chapters
        ),
    )


def _names_of(measurement: Measurement) -> tuple[str, str]:
    return title_of(measurement), measurement.benchmark


def _names_in(measurement: Measurement, metric: str) -> list[str]:
    return [metric, *(f"{name}.{metric}" for name in _names_of(measurement))]


def _is_chosen(measurement: Measurement, benchmarks: Sequence[str]) -> bool:
    return not benchmarks or any(name in benchmarks for name in _names_of(measurement))


def _is_metric(measurement: Measurement, metric: str, metrics: Sequence[str]) -> bool:
    return not metrics or any(name in metrics for name in _names_in(measurement, metric))


def _check(what: str, names: Iterable[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise RecipeError(f"the study has no {what} '{name}'; {nearest(name, known)}")
