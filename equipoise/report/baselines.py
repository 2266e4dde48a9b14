"""Measurements that no chapter compares with anything: a model as it is, alone."""

from collections.abc import Iterable
from dataclasses import dataclass

from equipoise.records import Measurement
from equipoise.report.page_rows import EstimateRow, estimate_rows
from equipoise.report.setting_names import setting_names, setting_of
from equipoise.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One measurement."""

    title: str
    identity: str
    about: str
    overall: tuple[EstimateRow, ...]
    groups: tuple[EstimateRow, ...]  # of the first metric
    left_out: int  # groups that are not listed
    notes: tuple[str, ...]


def baselines(study: Study, *, most: int) -> tuple[Baseline, ...]:
    """The measurements that are on neither side of a comparison, in the order of the study."""
    compared = set(_compared_keys(study))
    alone = [
        measured
        for measured in study.measured
        if _measurement_key(measured.measurement) not in compared
    ]
    names = setting_names(measured.measurement for measured in alone)
    views = []
    for measured in alone:
        of_seed = "" if measured.seed is None else f", seed {measured.seed}"
        method = "" if measured.mitigation is None else f" after {measured.mitigation}{of_seed}"
        name = names[setting_of(measured.measurement)]
        views.append(
            _baseline_view(f"{name} of {measured.model}{method}", measured.measurement, most=most)
        )
    return tuple(views)


def _compared_keys(study: Study) -> Iterable[tuple[object, ...]]:
    for chapter in study.chapters:
        for comparison in chapter.comparisons:
            yield _measurement_key(comparison.before)
            yield from map(_measurement_key, comparison.afters)


def _measurement_key(measurement: Measurement) -> tuple[object, ...]:
    return measurement.model, setting_of(measurement), measurement.seed, measurement.examples_sha256


def _baseline_view(title: str, measurement: Measurement, *, most: int) -> Baseline:
    overall = [estimate for estimate in measurement.estimates if not estimate.group]
    first = overall[0].metric if overall else ""
    groups = [e for e in measurement.estimates if e.group and e.metric == first]
    return Baseline(
        title=title,
        identity=measurement.model,
        about=f"version {measurement.version}, split {measurement.split}, "
        f"{len(measurement.outcomes):,} outcomes",
        overall=estimate_rows(overall),
        groups=estimate_rows(groups[:most]),
        left_out=max(0, len(groups) - most),
        notes=measurement.notes,
    )
