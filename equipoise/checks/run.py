"""Checks that run by themselves on results: what no reader should have to recompute.

Each looks for a fault that published tables of this field have: scores that do not follow from one
another, shares off their grid, rows copied from one model to another, differences that are none.
A check that finds nothing wrong says so, and how many numbers it looked at; one that has nothing
to look at says nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from equipoise import plugins
from equipoise.benchmarks.base import Benchmark
from equipoise.checks import changes as change
from equipoise.checks import overlap as overlap
from equipoise.checks import values as values
from equipoise.checks.exposure import Learnt
from equipoise.checks.findings import Fault, concluded, counted, where_of
from equipoise.checks.grid import grid_faults
from equipoise.checks.icat import icat_faults
from equipoise.checks.identical import identical_faults, same_setting
from equipoise.checks.same_setup import alike_faults
from equipoise.conclusions import Comparison, Finding
from equipoise.errors import EquipoiseError
from equipoise.records import Measurement, Metric

#: Name of each check to what it holds, in the order in which a report lists them.
CHECKS: Final[Mapping[str, str]] = {
    "benchmark": "The benchmark that was measured is here in the same version; otherwise its "
    "numbers cannot be computed again, nor held against their grid and range.",
    "repeated": "Every value and its n are what the benchmark's metric gives on the outcomes.",
    "icat": "ICAT is LMS * min(SS, 100 - SS) / 50 of its own row, or the mean of its domains.",
    "grid": "A share of counted examples is a whole number of them out of n.",
    "empty": "A value has examples behind it; what has none is nan, and gives its reason.",
    "interval": "A value lies inside its interval; a missing interval gives its reason.",
    "range": "A value lies between the smallest and the largest that its metric can have.",
    "identical": "No two models have the same values in everything that was measured.",
    "alike": "What is compared was measured with the same versions, precision and start token.",
    "difference": "A change is the value after less the value before, and the mean over seeds.",
    "direction": "A change that is called better, worse, reduced or reversed went that way.",
    "texts": "No text that was measured was learnt from.",
    "groups": "No term, template or other group that was measured was learnt from.",
    "told": "The method is told nothing of the items that it is measured on.",
}


def check_measurement(measurement: Measurement) -> list[Finding]:
    """What is wrong with one benchmark's numbers of one model; else one "ok" a check.

    A benchmark that is gone or has moved on is a warning, and what needs it is left out.
    """
    where, estimates = where_of(measurement), measurement.estimates
    found = _metrics_of(measurement)
    metrics = found if not isinstance(found, Fault) else {}
    stale = [found] if isinstance(found, Fault) else []
    here = f"{measurement.benchmark} is here in version {measurement.version}"
    size = counted(len(estimates), "value")
    return [
        *concluded("benchmark", where, stale, sound=here),
        *_counted("repeated", where, values.repeated_faults(measurement, metrics)),
        *_counted("icat", where, icat_faults(measurement)),
        *_counted("grid", where, grid_faults(estimates, metrics)),
        *concluded("empty", where, values.empty_faults(estimates), sound=f"{size} checked"),
        *concluded("interval", where, values.interval_faults(estimates), sound=f"{size} checked"),
        *_counted("range", where, values.range_faults(estimates, metrics)),
    ]


def check_measurements(measurements: Sequence[Measurement]) -> list[Finding]:
    """Whether models that were asked the same answered the same; one "ok" for each question.

    Measurements of one model under one setting are looked at once.
    """
    found = []
    for some in same_setting(measurements):
        where = f"{some[0].benchmark} ({some[0].split})"
        sound = f"{counted(len(some), 'model')} compared with each other"
        found += concluded("identical", where, identical_faults(some), sound=sound)
    return found


def check_comparison(comparison: Comparison) -> list[Finding]:
    """Whether printed changes follow from the numbers beside them; else one "ok" a check."""
    after = ", ".join(after.model for after in comparison.afters)
    where = f"{where_of(comparison.before)} to {after}"
    changes = [*comparison.changes, *(one for seed in comparison.by_seed for one in seed)]
    size = f"{counted(len(changes), 'change')} checked" if changes else None
    arithmetic = [*change.difference_faults(changes), *change.seed_faults(comparison)]
    return [
        *_counted("alike", where, alike_faults([comparison.before, *comparison.afters])),
        *concluded("difference", where, arithmetic, sound=size),
        *concluded("direction", where, change.direction_faults(changes), sound=size),
        *concluded("interval", where, change.change_interval_faults(changes), sound=size),
    ]


def check_overlap(
    learnt: Learnt, measurement: Measurement, texts: Iterable[str] | None = None
) -> list[Finding]:
    """Whether what was learnt is what is measured, and what the method is told of it.

    `texts`: those of the examples that were measured (`benchmarks.base.texts_of`); None leaves
    them out, as `measure` refuses an edit on a text it learnt. Groups are those of the outcomes.
    """
    where = where_of(measurement)
    told = "nothing is told of the items"
    return [
        *(
            _counted("texts", where, overlap.text_faults(learnt, texts))
            if texts is not None
            else ()
        ),
        *_counted("groups", where, overlap.group_faults(learnt, measurement)),
        *concluded("told", where, overlap.told_faults(learnt), sound=told),
    ]


_WHAT = {
    "texts": "text",
    "groups": "group",
    "alike": "setting",
}  # what a check looks at, where it is no value


def _counted(check: str, where: str, found: tuple[int, Sequence[Fault]]) -> list[Finding]:
    checked, faults = found
    sound = f"{counted(checked, _WHAT.get(check, 'value'))} checked" if checked else None
    return concluded(check, where, faults, sound=sound)


def _metrics_of(measurement: Measurement) -> Mapping[str, Metric] | Fault:
    """The metrics by name, of the benchmark built again; a warning where that cannot be."""
    name, version = measurement.benchmark, measurement.version
    try:
        benchmark = plugins.build(Benchmark, name, measurement.options)
        metrics = benchmark.metrics
    except EquipoiseError as error:
        return Fault(text=f"{name} could not be checked: {error}", level="warning")
    except Exception as error:  # a plug-in's file may do anything
        why = f"{type(error).__name__}: {error}"
        return Fault(text=f"{name} could not be checked, it does not load: {why}", level="warning")
    if benchmark.version != version:
        return Fault(
            text=f"{name} could not be checked: it was measured in version {version} and is here "
            f"in {benchmark.version}",
            level="warning",
        )
    return {metric.name: metric for metric in metrics}
