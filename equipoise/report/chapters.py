"""A chapter of the page: what one mitigation did to one model, benchmark by benchmark."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from equipoise.conclusions import Change, Comparison, Direction, Verdict
from equipoise.records import JSON
from equipoise.report.axis import typeset
from equipoise.report.page_rows import Badge, ChangeRow, badge, named_row
from equipoise.report.provenance import flat
from equipoise.report.sections import RowLimits, Section, section
from equipoise.report.sentences import subject, verdict_sentence
from equipoise.report.setting_names import setting_names, setting_of
from equipoise.study.study import Chapter


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterView:
    """One mitigation of one model."""

    title: str
    model: str
    mitigation: str
    identities: tuple[str, str] | None  # before and after, where anything was compared
    further: int  # models after of further seeds
    edits: tuple[str, ...]
    verdict: str  # in words
    badges: tuple[Badge, Badge]  # bias, ability
    tone: str  # of the graver of the two
    headlines: tuple[ChangeRow, ...]  # what the verdict rests on, each on a scale of its own
    sections: tuple[Section, ...]


def chapter_view(
    chapter: Chapter,
    *,
    title: str,
    edits: Iterable[str],
    seeds: Mapping[str, int],
    limits: RowLimits,
) -> ChapterView:
    """A chapter under a title; `edits` as a reader gets them, `seeds` of each by its identity."""
    names = setting_names(comparison.before for comparison in chapter.comparisons)
    first = chapter.comparisons[0] if chapter.comparisons else None
    badges = verdict_badges(chapter.verdict)
    return ChapterView(
        title=title,
        model=chapter.model,
        mitigation=chapter.mitigation,
        identities=None if first is None else (first.before.model, first.after.model),
        further=max((len(comparison.afters) for comparison in chapter.comparisons), default=1) - 1,
        edits=tuple(dict.fromkeys(edits)),
        verdict=typeset(verdict_sentence(chapter.verdict)),
        badges=badges,
        tone=_pick_tone(badges),
        headlines=tuple(
            named_row(headline.change, subject(headline.change, headline.benchmark))
            for headline in (*chapter.verdict.bias, *chapter.verdict.ability)
        ),
        sections=tuple(
            section(
                replace(comparison, changes=apply_verdict(comparison, chapter.verdict)),
                names[setting_of(comparison.before)],
                seeds=seeds,
                limits=limits,
            )
            for comparison in chapter.comparisons
        ),
    )


def apply_verdict(comparison: Comparison, verdict: Verdict) -> tuple[Change, ...]:
    """The changes, with p_holm and direction of the verdict where it rests on one of them.

    So that a page does not call "reduced" in one place what its verdict calls "no change shown".
    """
    corrected = {
        _identify(headline.benchmark, headline.change): headline.change
        for headline in (*verdict.bias, *verdict.ability)
    }
    benchmark = comparison.before.benchmark
    return tuple(
        change if change.group else corrected.get(_identify(benchmark, change), change)
        for change in comparison.changes
    )


def _identify(benchmark: str, change: Change) -> tuple[object, ...]:
    """Two comparisons of one benchmark, measured in two ways, may have the same metric."""
    values = (change.before, change.after, change.low, change.high)
    return benchmark, change.metric, change.n, tuple(map(repr, values))


def verdict_badges(verdict: Verdict) -> tuple[Badge, Badge]:
    """The verdict's bias and ability, a word each."""
    direction: Direction = "reversed" if verdict.over_corrected else verdict.direction
    bias = badge(direction)
    if not verdict.bias:
        bias = Badge(tone="unknown", word="not measured")
    if not verdict.ability:
        return bias, Badge(tone="unknown", word="not measured")
    if verdict.kept:
        return bias, Badge(tone="better", word="kept")
    if verdict.kept is None:
        return bias, Badge(tone="unclear", word="not shown kept")
    return bias, Badge(tone="worse", word="lost")


def _pick_tone(badges: tuple[Badge, Badge]) -> str:
    """The tone of the ability where that is the alarm, else of the bias."""
    bias, ability = badges
    alarms = ("worse", "reversed", "unclear")
    return min(
        (bias.tone, ability.tone),
        key=lambda tone: alarms.index(tone) if tone in alarms else len(alarms),
    )


def model_edits(info: Mapping[str, JSON]) -> Iterable[str]:
    """Each edit of a model with its options: "lftf: objective ce_both, blocks 1, …"."""
    edits = info.get("edits")
    for edit in edits if isinstance(edits, list) else []:
        if isinstance(edit, dict) and isinstance(edit.get("options"), dict):
            yield describe_edit(edit)


def describe_edit(edit: Mapping[str, JSON]) -> str:
    """The method and its options, on one line."""
    options = edit.get("options")
    return f"{edit.get('method')}: {flat(options) if isinstance(options, dict) else options}"
