"""ICAT follows from LMS and SS of its own row: LMS * min(SS, 100 - SS) / 50.

Nadeem et al. 2021, section 4. StereoSet here has it thrice: of means over target terms ("icat"),
of means over examples ("icat_micro"), and as the mean of the domains' ICAT ("icat_domain_mean"),
which follows from the domains' rows instead. Published tables break the rule: of BiasUnlearn's
rows on 7B models, only the base models' follow it (see the tests).
"""

import math
from collections.abc import Mapping

from equipoise.checks.findings import Fault, row_of
from equipoise.records import Estimate, Measurement

_DOMAIN = "axis"  # the group key of the domains
_DOMAIN_MEAN = "icat_domain_mean"
_SPREAD = "_spread"  # of a family of prompts: a standard deviation follows from no other
_TOLERANCE = 1e-6  # points

Group = frozenset[tuple[str, str]]
Rows = Mapping[tuple[str, Group], Estimate]


def icat_of(lms: float, ss: float) -> float:
    """What ICAT must be, in points; nan when either score is nan."""
    return lms * min(ss, 100.0 - ss) / 50.0 if math.isfinite(lms + ss) else math.nan


def icat_faults(measurement: Measurement) -> tuple[int, list[Fault]]:
    """How many ICAT values were computed again, and those that differ."""
    rows = {
        (estimate.metric, frozenset(estimate.group.items())): estimate
        for estimate in measurement.estimates
    }
    chosen = [
        estimate
        for estimate in measurement.estimates
        if estimate.metric.startswith("icat") and not estimate.metric.endswith(_SPREAD)
    ]
    means = any(estimate.metric == _DOMAIN_MEAN for estimate in chosen)
    members = _members(measurement, rows) if means else {}
    checked, faults = 0, []
    for estimate in chosen:
        if estimate.metric == _DOMAIN_MEAN:
            computed = _of_domains(measurement, frozenset(estimate.group.items()), rows, members)
        else:
            computed = _of_scores(estimate, rows)
        if computed is None:
            continue
        checked += 1
        must, said = computed
        if not _same(estimate.value, must):
            row = row_of(estimate.metric, estimate.group)
            faults.append(
                Fault(text=f"{row} must be {must:.6g} by {said}, got {estimate.value:.6g}")
            )
    return checked, faults


def _of_scores(estimate: Estimate, rows: Rows) -> tuple[float, str] | None:
    """What it must be by LMS and SS of the same kind and row; None where they are not there."""
    kind, group = estimate.metric.removeprefix("icat"), frozenset(estimate.group.items())
    lms, ss = (rows.get((f"{name}{kind}", group)) for name in ("lms", "ss"))
    if lms is None or ss is None:
        return None
    said = f"{lms.metric} {lms.value:.6g} and {ss.metric} {ss.value:.6g}"
    return icat_of(lms.value, ss.value), said


def _of_domains(
    measurement: Measurement, group: Group, rows: Rows, members: Mapping[frozenset[str], Group]
) -> tuple[float, str] | None:
    """What it must be by the domains' rows; None where a domain has none.

    Nor where LMS and SS of a domain rest on different examples: the mean is over those with both.
    """
    domains: dict[str, set[str]] = {}
    for outcome in measurement.outcomes:
        if _DOMAIN in outcome.groups and group <= outcome.groups.items():
            domains.setdefault(outcome.groups[_DOMAIN], set()).add(outcome.example)
    values = []
    for examples in domains.values():
        row = members.get(frozenset(examples))
        if row is None or rows["lms", row].n != rows["ss", row].n:
            return None
        values.append(rows["icat", row].value)
    finite = [value for value in values if math.isfinite(value)]
    mean = math.fsum(finite) / len(finite) if finite else math.nan
    return (mean, f"the ICAT of {len(values)} domains") if values else None


def _members(measurement: Measurement, rows: Rows) -> dict[frozenset[str], Group]:
    """The examples of every group that has rows of all three scores, to that group."""
    groups = [group for metric, group in rows if metric == "icat"]
    complete = [group for group in groups if {("lms", group), ("ss", group)} <= rows.keys()]
    return {
        frozenset(o.example for o in measurement.outcomes if group <= o.groups.items()): group
        for group in complete
    }


def _same(value: float, must: float) -> bool:
    if math.isnan(value) or math.isnan(must):
        return math.isnan(value) and math.isnan(must)
    return abs(value - must) <= _TOLERANCE
