"""The checks of results as a study and the command line run them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from equipoise import plugins
from equipoise.benchmarks.base import Benchmark
from equipoise.checks.across_models import alike_faults, identical_faults, same_setting
from equipoise.checks.arithmetic import grid_faults, icat_faults
from equipoise.checks.faults import Fault, Level
from equipoise.checks.learnt import Learnt, group_faults, item_info_faults, text_faults
from equipoise.checks.stored import change_faults, estimate_faults, setting_faults
from equipoise.conclusions import Comparison, Finding
from equipoise.errors import EquipoiseError
from equipoise.records import Measurement, Metric

#: Name of each check to what it holds, in the order in which a report lists them.
CHECKS: Final[Mapping[str, str]] = {
    "benchmark": "The benchmark that was measured is here in the same version; otherwise its "
    "numbers cannot be computed again, nor compared with their grid and range.",
    "stored": "What was read from a file is possible: values lie in their intervals and ranges, "
    "what is missing gives a reason, changes and directions follow from the numbers beside them.",
    "icat": "ICAT is LMS * min(SS, 100 - SS) / 50 of its own row, or the mean of its domains.",
    "grid": "A share of counted examples is a whole number of them out of n.",
    "identical": "No two models have the same values in everything that was measured.",
    "alike": "What is compared was measured with the same versions, kernels and threads.",
    "texts": "No text that was measured was learnt from.",
    "groups": "No term, template or other group that was measured was learnt from.",
    "item_info": "The method is given nothing of the items that it is measured on.",
}

MOST = 5  # findings of a check in a place; the rest is counted


def check_measurement(measurement: Measurement) -> list[Finding]:
    """What is wrong with a benchmark's numbers of a model; else an "ok" per check.

    A benchmark that is gone or has moved on is a warning, and what needs it is left out.
    """
    where = _describe_place(measurement)
    metrics, stale = _find_metrics(measurement)
    sound = f"{measurement.benchmark} is here in version {measurement.version}"
    return [
        *conclude("benchmark", where, stale, sound=sound),
        *_conclude("icat", where, icat_faults(measurement)),
        *_conclude("grid", where, grid_faults(measurement.estimates, metrics)),
    ]


def check_stored(result: Measurement | Comparison) -> list[Finding]:
    """Whether a measurement or a comparison that was read from a file can be; else an "ok"."""
    if isinstance(result, Measurement):
        metrics, _ = _find_metrics(result)
        faults = [*estimate_faults(result.estimates, metrics)]
        return _conclude("stored", _describe_place(result), (len(result.estimates), faults))
    changes = [*result.changes, *(change for seed in result.by_seed for change in seed)]
    faults = [*change_faults(changes), *setting_faults(result)]
    return _conclude("stored", _describe_sides(result), (len(changes), faults))


def check_measurements(measurements: Sequence[Measurement]) -> list[Finding]:
    """Whether models that were asked the same answered the same; an "ok" for each question.

    Measurements of a model under the same setting are looked at once.
    """
    findings = []
    for models in same_setting(measurements):
        where = f"{models[0].benchmark} ({models[0].split})"
        sound = f"{len(models)} models compared with each other"
        findings += conclude("identical", where, identical_faults(models), sound=sound)
    return findings


def check_comparison(comparison: Comparison) -> list[Finding]:
    """Whether what is compared was measured alike; else an "ok"."""
    where = _describe_sides(comparison)
    return _conclude("alike", where, alike_faults(comparison), what="setting")


def check_overlap(
    learnt: Learnt, measurement: Measurement, texts: Iterable[str] | None = None
) -> list[Finding]:
    """Whether what was learnt is what is measured, and what the method knows of it.

    `texts`: those of the examples that were measured (`benchmarks.base.texts_of`); None leaves
    them out, as `measure` refuses an edit on a text it learnt. Groups are those of the outcomes.
    """
    where = _describe_place(measurement)
    findings = []
    if texts is not None:
        findings += _conclude("texts", where, text_faults(learnt, texts), what="text")
    findings += _conclude("groups", where, group_faults(learnt, measurement), what="group")
    given = item_info_faults(learnt)
    return findings + conclude("item_info", where, given, sound="nothing of the items is given")


def conclude(
    check: str, where: str, faults: Sequence[Fault], *, sound: str | None
) -> list[Finding]:
    """The findings of a check in a place, at most `MOST` in full.

    `sound` says how much was looked at; None: nothing, and then no fault is no finding either.
    """
    if not faults:
        return [] if sound is None else [Finding(check=check, level="ok", where=where, text=sound)]
    rest = faults[MOST:]
    shown = list(faults[:MOST])
    if rest:
        level: Level = "error" if any(fault.level == "error" for fault in rest) else "warning"
        shown.append(Fault(f"… and {len(rest)} more", level))
    return [
        Finding(check=check, level=fault.level, where=where, text=fault.text) for fault in shown
    ]


def _conclude(
    check: str, where: str, result: tuple[int, Sequence[Fault]], *, what: str = "value"
) -> list[Finding]:
    """The findings of a check that counts what it looked at."""
    checked, faults = result
    sound = f"{checked} {what}{'s' if checked > 1 else ''} checked" if checked else None
    return conclude(check, where, faults, sound=sound)


def _describe_place(measurement: Measurement) -> str:
    return f"{measurement.benchmark} ({measurement.split}), {measurement.model}"


def _describe_sides(comparison: Comparison) -> str:
    after = ", ".join(after.model for after in comparison.afters)
    return f"{_describe_place(comparison.before)} to {after}"


def _find_metrics(measurement: Measurement) -> tuple[Mapping[str, Metric], list[Fault]]:
    """The metrics by name, of the benchmark built again; none and a warning where it fails."""
    name, version = measurement.benchmark, measurement.version
    try:
        benchmark = plugins.build(Benchmark, name, measurement.options)
        metrics = {metric.name: metric for metric in benchmark.metrics}
        if benchmark.version == version:
            return metrics, []
        why = f", it was measured in version {version} and is here in {benchmark.version}"
    except EquipoiseError as error:
        why = f": {error}"
    except Exception as error:  # a plug-in's file may do anything
        why = f", it does not load: {type(error).__name__}: {error}"
    return {}, [Fault(f"{name} could not be checked{why}", "warning")]
