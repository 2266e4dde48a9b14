"""What a page shows of written texts: harm beside length and register, and groups within domains.

Scales are known by the names that `metrics.written` gives their metrics: of a scale NAME there are
NAME, NAME_gap and NAME_gap_null_95, and NAME_harmful where some value is a limit of harm. Of judged
texts the length has no gap: its metrics are "words", or "words_1" and so on of each turn.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Final, NamedTuple

from equipoise.conclusions import Change, Comparison, WrittenPair
from equipoise.number_text import group_name
from equipoise.records import Estimate, Measurement
from equipoise.report.axis import Axis, axis_of
from equipoise.report.harm_sentences import Harm

_HARMFUL: Final = "_harmful"
_GAP: Final = "_gap"
_NULL: Final = "_gap_null_95"
_HUMAN: Final = "_human"
_OVERALL: Final = "all domains"
_WORDS: Final = "words"
MOST_SCALES: Final = 16  # whose groups are drawn


class GapRow(NamedTuple):
    """The gap between the groups of a domain; what chance makes it in 95 % of cases at most."""

    name: str
    change: Change
    null_before: float
    null_after: float


class Domain(NamedTuple):
    """The groups of a domain, which are held against each other."""

    name: str  # "" where there is a single domain
    groups: tuple[Change, ...]


class Disparity(NamedTuple):
    """How far groups lie apart on a scale."""

    scale: str
    unit: str
    domains: tuple[Domain, ...]
    gaps: tuple[GapRow, ...]  # of each domain, and over all where there are several

    @property
    def axis(self) -> Axis:
        """That holds every group's mean with its intervals, before and after."""
        return axis_of(x for domain in self.domains for each in domain.groups for x in _ends(each))

    @property
    def gap_axis(self) -> Axis:
        """That holds every gap, and what chance makes it."""
        nulls = [x for row in self.gaps for x in (row.null_before, row.null_after)]
        return axis_of([0.0, *nulls, *(x for row in self.gaps for x in _ends(row.change))])

    @property
    def rows(self) -> int:
        """How many groups are drawn."""
        return sum(len(domain.groups) for domain in self.domains)


def _ends(change: Change) -> tuple[float, ...]:
    return (
        change.before, change.before_low, change.before_high,
        change.after, change.after_low, change.after_high,
    )  # fmt: skip


def harms_of(comparison: Comparison) -> list[Harm]:
    """Each rate of harm with its gap, and what length and register did; none without scales."""
    overall = _overall(comparison)
    lengths, registers = (
        tuple(
            change
            for name, change in overall.items()
            if name.startswith(kind) and f"{name}{_GAP}" in overall
        )
        for kind in ("length_", "register_")
    )
    return [
        Harm(
            rate=overall[name],
            gap=overall[f"{name}{_GAP}"],
            null_before=_null([comparison.before, *comparison.other_befores], name, {}),
            null_after=_null(comparison.afters, name, {}),
            lengths=lengths,
            registers=registers,
        )
        for name in overall
        if name.endswith(_HARMFUL) and f"{name}{_GAP}" in overall
    ]


def _overall(comparison: Comparison) -> dict[str, Change]:
    return {change.metric: change for change in comparison.changes if not change.group}


def _null(measurements: Sequence[Measurement], scale: str, group: Mapping[str, str]) -> float:
    """What chance makes a gap in 95 % of cases at most; the mean over measurements, or nan."""
    levels = [
        estimate.value
        for measurement in measurements
        for estimate in measurement.estimates
        if estimate.metric == f"{scale}{_NULL}" and dict(estimate.group) == dict(group)
    ]
    return fmean(levels) if levels else math.nan


def disparities_of(comparison: Comparison) -> list[Disparity]:
    """Of each scale whose groups are compared, harm first; at most `MOST_SCALES`."""
    overall = _overall(comparison)
    known = {
        estimate.metric.removesuffix(_NULL)
        for estimate in comparison.before.estimates
        if estimate.metric.endswith(_NULL)
    }
    scales = [name for name in overall if name in known and f"{name}{_GAP}" in overall]
    scales.sort(key=lambda name: not name.endswith(_HARMFUL))  # stable: else in their order
    drawn = [_disparity(comparison, name) for name in scales[:MOST_SCALES]]
    return [each for each in drawn if each.rows]


def _disparity(comparison: Comparison, scale: str) -> Disparity:
    of_scale = [each for each in comparison.changes if each.metric == scale and each.group]
    of_gap = [each for each in comparison.changes if each.metric == f"{scale}{_GAP}"]
    within, key = _keys(comparison, of_scale, of_gap)
    belongs = {
        outcome.groups[key]: outcome.groups.get(within, "")
        for outcome in comparison.before.outcomes
        if key in outcome.groups
    }
    domains: dict[str, list[Change]] = {}
    for change in of_scale:
        if tuple(change.group) == (key,) and math.isfinite(change.before + change.after):
            domains.setdefault(belongs.get(change.group[key], ""), []).append(change)
    compared = {name: tuple(groups) for name, groups in domains.items() if len(groups) > 1}
    befores = [comparison.before, *comparison.other_befores]
    gaps = [
        GapRow(
            change.group.get(within, _OVERALL if within else "all groups"),
            change,
            _null(befores, scale, change.group),
            _null(comparison.afters, scale, change.group),
        )
        for change in of_gap
        if not change.group or tuple(change.group) == (within,)
        if math.isfinite(change.before + change.after)
    ]
    gaps.sort(key=lambda row: not row.change.group)  # over all domains: the last
    return Disparity(
        scale=scale,
        unit=of_scale[0].unit if of_scale else "",
        domains=tuple(Domain(name, groups) for name, groups in compared.items()),
        gaps=tuple(gaps if len(gaps) > 2 else gaps[:1]),  # of a single domain once
    )


def _keys(
    comparison: Comparison, of_scale: Sequence[Change], of_gap: Sequence[Change]
) -> tuple[str, str]:
    """The group key of domains ("": groups are of one) and that of the groups within them.

    Domains have a gap of their own; a group is in a single domain, of which some have several.
    """
    keys = list(dict.fromkeys(key for each in of_scale for key in each.group))
    with_gap = dict.fromkeys(
        key for each in of_gap for key in each.group if math.isfinite(each.before)
    )
    for within in with_gap:
        for key in keys:
            if key != within and _nested(comparison, key, within):
                return within, key
    return "", next((key for key in keys if key not in with_gap), "")


def _nested(comparison: Comparison, key: str, within: str) -> bool:
    pairs = {
        (outcome.groups[key], outcome.groups[within])
        for outcome in comparison.before.outcomes
        if key in outcome.groups and within in outcome.groups
    }
    groups, domains = {group for group, _ in pairs}, {domain for _, domain in pairs}
    return len(domains) < len(groups) == len(pairs)


# --- length of judged texts -----------------------------------------------------------------------


class Lengths(NamedTuple):
    """The length of judged texts: a metric over all of them and in their groups."""

    overall: Change
    groups: tuple[Change, ...]


def lengths_of(comparison: Comparison) -> list[Lengths]:
    """Of each metric of length that groups have; none where length is a scale with gaps."""
    return [
        Lengths(change, groups)
        for name, change in _overall(comparison).items()
        if _is_length(name)
        and (
            groups := tuple(
                each for each in comparison.changes if each.metric == name and each.group
            )
        )
    ]


def length_estimates(measurement: Measurement) -> list[Estimate]:
    """The same of a single model: estimates of length, those over all texts and those of groups."""
    return [estimate for estimate in measurement.estimates if _is_length(estimate.metric)]


def _is_length(metric: str) -> bool:
    return metric == _WORDS or metric.startswith(f"{_WORDS}_")


# --- what was written, side by side ---------------------------------------------------------------


class Score(NamedTuple):
    """A text's number on a scale, before and after."""

    scale: str
    before: float
    after: float


def scores_of(pair: WrittenPair) -> list[Score]:
    """The numbers of both texts, harm first, without those of a person's text."""
    names = [
        name
        for name in pair.scores_before
        if name in pair.scores_after and not name.endswith(_HUMAN)
    ]
    return [
        Score(name, pair.scores_before[name], pair.scores_after[name])
        for name in sorted(names, key=lambda name: not name.endswith(_HARMFUL))
    ]


def groups_of(pair: WrittenPair, comparison: Comparison) -> list[str]:
    """The groups that results have rows of, as in "axis religion": others are ids of prompts."""
    shown = dict.fromkeys(key for change in comparison.changes for key in change.group)
    return [group_name({key: pair.groups[key]}) for key in shown if key in pair.groups]
