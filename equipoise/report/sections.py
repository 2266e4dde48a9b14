"""A section of the page: one benchmark before and after."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from equipoise.conclusions import Change, Comparison
from equipoise.report.axis import typeset
from equipoise.report.examples import ExampleView, example_views
from equipoise.report.forest import Forest, forest, gravest
from equipoise.report.page_rows import Badge, ChangeRow, badge_of, cell, change_rows
from equipoise.report.scatter import Scatter, scatter
from equipoise.report.sentences import describe_change, headlines, subject

_MAIN = 12  # groups of a plot that is not folded


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLimits:
    """How many rows a list may have, so that the page of a big study still opens."""

    groups: int  # of a benchmark's first metric
    others: int  # of all its other metrics together
    dots: int  # professions listed beside their plot, which draws all


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """A sentence about a change, in its parts: what it is about, and what is said of it."""

    badge: Badge
    subject: str
    statement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRow:
    """One metric after each seed of the method."""

    metric: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One benchmark of one mitigation."""

    name: str
    about: str
    sayings: tuple[Saying, ...]
    overall: tuple[ChangeRow, ...]  # each on a scale of its own
    groups: Forest | None  # of the first metric
    leads: bool  # whether their plot is a main one: few groups of a bias, and some moved
    others: tuple[ChangeRow, ...]  # groups of the other metrics
    others_left_out: int
    professions: Scatter | None
    runs: tuple[str, ...]  # the measurements after, where there are several: "seed 0", …
    by_seed: tuple[SeedRow, ...]
    examples: tuple[ExampleView, ...]
    notes: tuple[str, ...]


def section(
    comparison: Comparison, name: str, *, seeds: Mapping[str, int], limits: RowLimits
) -> Section:
    """One comparison under that name; `seeds` are those of the edits, by a model's identity."""
    before = comparison.before
    overall = [change for change in comparison.changes if not change.group]
    grouped = [change for change in comparison.changes if change.group]
    first = overall[0].metric if overall else ""
    others = [change for change in grouped if change.metric != first]
    shown = gravest(others, most=limits.others)
    groups = [change for change in grouped if change.metric == first]
    return Section(
        name=name,
        about=f"version {before.version}, split {before.split}, {len(before.outcomes):,} outcomes",
        sayings=tuple(_make_saying(headline, name) for headline in headlines(comparison)),
        overall=change_rows(overall),
        groups=forest(groups, most=limits.groups),
        leads=_leads(groups),
        others=change_rows(shown, grouped=True),
        others_left_out=len(others) - len(shown),
        professions=scatter(comparison, most=limits.dots),
        runs=tuple(_name_runs(comparison, seeds)),
        by_seed=tuple(_seed_rows(comparison)),
        examples=example_views(comparison.examples),
        notes=tuple(dict.fromkeys((*comparison.notes, *before.notes))),
    )


def _leads(groups: Sequence[Change]) -> bool:
    """Whether there is something to see, and not too much."""
    moved = any(group.direction not in ("unchanged", "unknown") for group in groups)
    return moved and len(groups) <= _MAIN and all(group.measures_bias for group in groups)


def _make_saying(change: Change, benchmark: str) -> Saying:
    return Saying(
        badge=badge_of(change),
        subject=subject(change, benchmark),
        statement=typeset(describe_change(change)),
    )


def _name_runs(comparison: Comparison, seeds: Mapping[str, int]) -> Iterable[str]:
    for number, after in enumerate(comparison.afters[: len(comparison.by_seed)], start=1):
        seed = seeds.get(after.model)
        yield f"run {number}" if seed is None else f"seed {seed}"


def _seed_rows(comparison: Comparison) -> Iterable[SeedRow]:
    """The after value of every overall metric, a column per seed."""
    runs = [{change.metric: change for change in run} for run in comparison.by_seed]
    for metric in runs[0] if runs else ():
        yield SeedRow(metric=metric, texts=tuple(_after_text(run.get(metric)) for run in runs))


def _after_text(change: Change | None) -> str:
    if change is None:
        return "n/a"
    return cell(change.after, change.after_low, change.after_high).text
