"""What follows from other numbers of a measurement: ICAT from LMS and SS, a share from its count.

ICAT of a row is LMS * min(SS, 100 - SS) / 50 (Nadeem et al. 2021, section 4). StereoSet here has it
thrice: of means over target terms ("icat"), of means over examples ("icat_micro"), and as the mean
of the domains' ICAT ("icat_domain_mean"), which follows from the domains' rows instead. Published
tables break the rule: of BiasUnlearn's rows on 7B models, only the base models' follow it.

A share of counted items lies on the grid k / n. CrowS-Pairs about gender are 262, so 59.16 % is 155
of them and 59.20 % is none: published tables had scored other categories than they named.
"""

import math
from collections.abc import Mapping, Sequence

from equipoise.checks.faults import Fault, row_of
from equipoise.records import Estimate, Measurement, Metric

_DOMAIN = "axis"  # the group key of the domains
_DOMAIN_MEAN = "icat_domain_mean"
_SPREAD = "_spread"  # of a family of prompts: a standard deviation follows from no other
_TOLERANCE = 1e-6  # points
_GRID_TOLERANCE = 1e-7  # of a value computed here, in its unit; if printed: half its last digit

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
    means = any(metric == _DOMAIN_MEAN for metric, _ in rows)
    members = _examples_to_group(measurement, rows) if means else {}
    checked, faults = 0, []
    for (metric, group), estimate in rows.items():
        if not metric.startswith("icat") or metric.endswith(_SPREAD):
            continue
        kind = metric.removeprefix("icat")
        lms, ss = rows.get((f"lms{kind}", group)), rows.get((f"ss{kind}", group))
        if metric == _DOMAIN_MEAN:
            expected, source = _from_domains(measurement, group, rows, members)
        elif lms is not None and ss is not None:
            expected = icat_of(lms.value, ss.value)
            source = f"{lms.metric} {lms.value:.6g} and {ss.metric} {ss.value:.6g}"
        else:
            source = ""
        if not source:  # nothing to compute it from
            continue
        checked += 1
        missing = math.isnan(estimate.value) and math.isnan(expected)
        if not (missing or abs(estimate.value - expected) <= _TOLERANCE):
            row = row_of(metric, estimate.group)
            faults.append(
                Fault(f"{row} must be {expected:.6g} by {source}, got {estimate.value:.6g}")
            )
    return checked, faults


def _from_domains(
    measurement: Measurement, group: Group, rows: Rows, members: Mapping[frozenset[str], Group]
) -> tuple[float, str]:
    """What it must be by the domains' rows, and these in words; "" where a domain has none.

    Nor where LMS and SS of a domain rest on different examples: the mean is over those with both.
    """
    domains: dict[str, set[str]] = {}
    for outcome in measurement.outcomes:
        if _DOMAIN in outcome.groups and group <= outcome.groups.items():
            domains.setdefault(outcome.groups[_DOMAIN], set()).add(outcome.example)
    values = []
    for examples in domains.values():
        # by its examples, since the domains of a task have their rows under `task_axis`
        row = members.get(frozenset(examples))
        if row is None or rows["lms", row].n != rows["ss", row].n:
            return math.nan, ""
        values.append(rows["icat", row].value)
    finite = [value for value in values if math.isfinite(value)]
    mean = math.fsum(finite) / len(finite) if finite else math.nan
    return mean, f"the ICAT of {len(values)} domains" if values else ""


def _examples_to_group(measurement: Measurement, rows: Rows) -> dict[frozenset[str], Group]:
    """The examples of every group that has rows of all three scores, to that group."""
    groups = [group for metric, group in rows if metric == "icat"]
    complete = [group for group in groups if {("lms", group), ("ss", group)} <= rows.keys()]
    return {
        frozenset(o.example for o in measurement.outcomes if group <= o.groups.items()): group
        for group in complete
    }


def on_grid(value: float, *, n: int, grid: float, tolerance: float = _GRID_TOLERANCE) -> bool:
    """Whether some whole number k of n items gives the value: |grid * k / n - value| is small.

    `grid` is that of `records.Metric`; `tolerance` in the value's unit, 0.005 for a number printed
    with two decimals. With n so large that any value is near the grid, it says nothing.
    """
    whole = round(value * n / grid)
    return abs(grid * whole / n - value) <= tolerance


def grid_faults(
    estimates: Sequence[Estimate], metrics: Mapping[str, Metric]
) -> tuple[int, list[Fault]]:
    """How many shares were compared with their grid, and those off it."""
    checked, faults = 0, []
    for estimate in estimates:
        grid = metrics[estimate.metric].grid if estimate.metric in metrics else None
        if grid is None or not math.isfinite(estimate.value) or estimate.n < 1:
            continue
        checked += 1
        if not on_grid(estimate.value, n=estimate.n, grid=grid):
            below = math.floor(estimate.value * estimate.n / grid)
            near = " or ".join(f"{grid * whole / estimate.n:.6g}" for whole in (below, below + 1))
            faults.append(
                Fault(
                    f"{row_of(estimate.metric, estimate.group)} must be a count of {estimate.n} "
                    f"examples, near here {near}, got {estimate.value:.6g}"
                )
            )
    return checked, faults
