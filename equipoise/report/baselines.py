"""Measurements that no chapter compares with anything: a model as it is, alone."""

from collections.abc import Iterable
from dataclasses import dataclass

from equipoise.records import Measurement
from equipoise.report.page_rows import Reading, readings
from equipoise.report.setting_names import setting_names, setting_of
from equipoise.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncompared:
    """One measurement."""

    title: str
    identity: str
    about: str
    overall: tuple[Reading, ...]
    groups: tuple[Reading, ...]  # of the first metric
    left_out: int  # groups that are not listed
    notes: tuple[str, ...]


def uncompared(study: Study, *, most: int) -> tuple[Uncompared, ...]:
    """The measurements that are on neither side of a comparison, in the order of the study."""
    compared = set(_compared(study))
    alone = [one for one in study.measured if _key(one.measurement) not in compared]
    names = setting_names(one.measurement for one in alone)
    found = []
    for one in alone:
        of_seed = "" if one.seed is None else f", seed {one.seed}"
        method = "" if one.mitigation is None else f" after {one.mitigation}{of_seed}"
        name = names[setting_of(one.measurement)]
        found.append(_view(f"{name} of {one.model}{method}", one.measurement, most=most))
    return tuple(found)


def _compared(study: Study) -> Iterable[tuple[object, ...]]:
    for chapter in study.chapters:
        for comparison in chapter.comparisons:
            yield _key(comparison.before)
            yield from map(_key, comparison.afters)


def _key(one: Measurement) -> tuple[object, ...]:
    return one.model, setting_of(one), one.seed, one.examples_sha256


def _view(title: str, one: Measurement, *, most: int) -> Uncompared:
    overall = [estimate for estimate in one.estimates if not estimate.group]
    first = overall[0].metric if overall else ""
    groups = [e for e in one.estimates if e.group and e.metric == first]
    return Uncompared(
        title=title,
        identity=one.model,
        about=f"version {one.version}, split {one.split}, {len(one.outcomes):,} outcomes",
        overall=readings(overall),
        groups=readings(groups[:most]),
        left_out=max(0, len(groups) - most),
        notes=one.notes,
    )
