"""What changed, as sheets: one row a change, overall, of a group, of a seed, or of a verdict."""

import math
from collections.abc import Iterable, Mapping, Sequence

from equipoise.conclusions import Change, Comparison, Headline
from equipoise.export.source_columns import (
    ASKED,
    NUMBER_OF,
    REASON,
    SOURCE,
    asked,
    group_text,
    source,
)
from equipoise.export.table_data import Cell, Column, Sheet, Span
from equipoise.records import Measurement
from equipoise.report.sentences import margin_text
from equipoise.report.setting_names import Setting, setting_names
from equipoise.study.study import Chapter

_NO_SPAN: Span = (math.nan, math.nan, math.nan)

_WHOSE = (Column(name="model"), Column(name="mitigation"), Column(name="seeds", seen="varied"))
_CHANGE = (
    *ASKED,
    Column(name="metric"),
    Column(name="group"),
    Column(name="before", kind="span"),
    Column(name="after", kind="span"),
    Column(name="difference", kind="span"),
    Column(name="nearer", kind="span", seen="exact"),
    Column(name="effect", kind="number", seen="exact"),
    *NUMBER_OF,
    Column(name="p", kind="p", seen="exact"),
    Column(name="p_holm", kind="p", heading="p (Holm)"),
    Column(name="direction"),
    Column(name="claim", seen="reader"),
    Column(name="claim_kind", seen="exact"),
    Column(name="claim_margin", seen="exact"),
    Column(name="claim_margin_relative", seen="exact"),
    Column(name="claim_value", kind="span", level=90, seen="exact"),
    Column(name="claim_p", seen="exact"),
    Column(name="claim_shown", seen="exact"),
    Column(name="seeds_averaged", seen="exact"),
    Column(name="seed_spread", kind="number", seen="exact"),
    REASON,
    Column(name="before_identity", seen="exact"),
    Column(name="after_identities", seen="exact"),
    Column(name="compared_with_seed", seen="exact"),
    Column(name="draws", seen="exact"),
    *SOURCE,
)
_VERDICT = (
    Column(name="verdict"),
    Column(name="kept", unknown="not shown"),
    Column(name="over_corrected"),
    Column(name="role"),
)


def changes_table(chapters: Sequence[Chapter], *, groups: bool = False) -> Sheet:
    """One row an overall change; with `groups`, one row a change of a group instead."""
    names = _names(chapters)
    rows = [
        (*_whose(chapter, comparison.afters), *_change_row(comparison, change, names))
        for chapter in chapters
        for comparison in chapter.comparisons
        for change in comparison.changes
        if bool(change.group) == groups
    ]
    return Sheet(columns=(*_WHOSE, *_CHANGE), rows=tuple(rows))


def seeds_table(chapters: Sequence[Chapter]) -> Sheet:
    """One row an overall change and seed of the method, where it was learnt with several."""
    names = _names(chapters)
    rows = [
        (*_whose(chapter, (after,)), *_change_row(comparison, change, names, after=after))
        for chapter in chapters
        for comparison in chapter.comparisons
        for after, changes in zip(comparison.afters, comparison.by_seed, strict=False)
        for change in changes
    ]
    return Sheet(columns=(*_WHOSE, *_CHANGE), rows=tuple(rows))


def verdicts_table(chapters: Sequence[Chapter]) -> Sheet:
    """One row a headline that a verdict rests on, bias before ability; at least one a chapter.

    `p_holm` and `direction` of the bias headlines are corrected over all of them.
    """
    names = _names(chapters)
    rows = [row for chapter in chapters for row in _verdict_rows(chapter, names)]
    return Sheet(columns=(*_WHOSE, *_VERDICT, *_CHANGE), rows=tuple(rows))


def _names(chapters: Sequence[Chapter]) -> Mapping[Setting, str]:
    return setting_names(
        comparison.before for chapter in chapters for comparison in chapter.comparisons
    )


def _verdict_rows(chapter: Chapter, names: Mapping[Setting, str]) -> Iterable[tuple[Cell, ...]]:
    verdict = chapter.verdict
    told = (verdict.direction, verdict.kept, verdict.over_corrected)
    afters = [after for comparison in chapter.comparisons for after in comparison.afters]
    found = [("bias", bia) for bia in verdict.bias] + [("ability", one) for one in verdict.ability]
    for role, headline in found:
        of = _of(chapter.comparisons, headline)
        row = _nothing(_CHANGE) if of is None else _change_row(of, headline.change, names)
        yield (*_whose(chapter, afters if of is None else of.afters), *told, role, *row)
    if not found:
        yield (*_whose(chapter, afters), *told, None, *_nothing(_CHANGE))


def _of(comparisons: Sequence[Comparison], headline: Headline) -> Comparison | None:
    """The comparison that a headline's change came from."""
    named = [
        comparison
        for comparison in comparisons
        if comparison.before.benchmark == headline.benchmark
    ]
    same = [one for one in named if any(_alike(two, headline.change) for two in one.changes)]
    return next(iter(same or named), None)


def _alike(one: Change, two: Change) -> bool:
    """Whether two changes are the same but for what a verdict corrects; nan equals nan."""
    return repr((one.metric, one.group, one.before, one.after, one.p)) == repr(
        (two.metric, two.group, two.before, two.after, two.p)
    )


def _nothing(columns: Sequence[Column]) -> tuple[Cell, ...]:
    return tuple(_NO_SPAN if column.kind == "span" else None for column in columns)


def _whose(chapter: Chapter, afters: Sequence[Measurement]) -> tuple[Cell, ...]:
    seeds = dict.fromkeys(seed for after in afters if (seed := method_seed(after)) is not None)
    return chapter.model, chapter.mitigation, " ".join(map(str, seeds))


def method_seed(measurement: Measurement) -> int | None:
    """The seed of the last edit of the measured model; None where there is none."""
    edits = measurement.model_info.get("edits")
    last = edits[-1] if isinstance(edits, list) and edits else None
    seed = last.get("seed") if isinstance(last, dict) else None
    return seed if isinstance(seed, int) else None


def _change_row(
    of: Comparison,
    change: Change,
    names: Mapping[Setting, str],
    *,
    after: Measurement | None = None,
) -> tuple[Cell, ...]:
    """`after`: the one that it is a change to; None: all of them together."""
    afters = of.afters if after is None else (after,)
    return (
        *asked(of.before, names),
        change.metric,
        group_text(change.group),
        (change.before, change.before_low, change.before_high),
        (change.after, change.after_low, change.after_high),
        (change.difference, change.low, change.high),
        (change.nearer, change.nearer_low, change.nearer_high),
        change.effect,
        change.unit,
        change.ideal,
        change.higher_is_better,
        change.n,
        change.clusters,
        change.p,
        change.p_holm,
        change.direction,
        *_claim(change),
        change.seeds,
        change.seed_spread,
        change.reason,
        of.before.model,
        " ".join(after.model for after in afters),
        of.seed,
        of.draws,
        *source(of.before),
    )


def _claim(change: Change) -> tuple[Cell, ...]:
    claim = change.claim
    if claim is None:
        return (None, None, None, None, _NO_SPAN, None, None)
    band = margin_text(change, claim)
    what = f"within {band}" if claim.kind == "within" else f"loss under {band}"
    return (
        f"{what}: {'shown' if claim.shown else 'not shown'}",
        claim.kind,
        claim.margin.size,
        claim.margin.relative,
        (claim.value, claim.low, claim.high),
        claim.p,
        claim.shown,
    )
