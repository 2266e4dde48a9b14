"""A chapter of the page: what a mitigation did to a model, a section per benchmark."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from equipoise.conclusions import Change, Comparison, Direction, Verdict
from equipoise.records import JSON
from equipoise.report.axis import typeset
from equipoise.report.plots import Scatter, scatter
from equipoise.report.provenance import options_text, setting_names, setting_of
from equipoise.report.rows import (
    Badge,
    Forest,
    Row,
    badge,
    cell,
    change_rows,
    forest,
    gravest,
    named_row,
)
from equipoise.report.sentences import subject, verdict_sentence
from equipoise.study.study import Chapter

_MAIN = 12  # groups of a plot that is not folded


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLimits:
    """How many rows a list may have, so that the page of a big study still opens."""

    groups: int  # of a benchmark's first metric
    others: int  # of all its other metrics together
    dots: int  # professions listed beside their plot, which draws all


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A benchmark of a mitigation."""

    name: str
    comparison: Comparison
    overall: tuple[Row[Change], ...]  # each on a scale of its own
    groups: Forest | None  # of the first metric
    leads: bool  # whether their plot is a main one: few groups of a bias, and some moved
    others: tuple[Row[Change], ...]  # groups of the other metrics
    others_left_out: int
    professions: Scatter | None
    runs: tuple[str, ...]  # the measurements after, where there are several: "seed 0", …
    by_seed: Mapping[str, tuple[str, ...]]  # overall metric to its text after each run

    @property
    def notes(self) -> tuple[str, ...]:
        """Known faults and coverage, each once."""
        return tuple(dict.fromkeys((*self.comparison.notes, *self.comparison.before.notes)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterView:
    """A mitigation of a model."""

    title: str
    chapter: Chapter
    edits: tuple[str, ...]
    verdict: str  # in words
    badges: tuple[Badge, Badge]  # bias, ability
    tone: str  # of the graver of the two
    headlines: tuple[Row[Change], ...]  # what the verdict rests on, each on a scale of its own
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
    verdict = chapter.verdict
    badges = verdict_badges(verdict)
    return ChapterView(
        title=title,
        chapter=chapter,
        edits=tuple(dict.fromkeys(edits)),
        verdict=typeset(verdict_sentence(verdict)),
        badges=badges,
        tone=_pick_tone(badges),
        headlines=tuple(
            named_row(headline.change, subject(headline.change, headline.benchmark))
            for headline in (*verdict.bias, *verdict.ability)
        ),
        sections=tuple(
            section(
                replace(comparison, changes=apply_verdict(comparison, verdict)),
                names[setting_of(comparison.before)],
                seeds=seeds,
                limits=limits,
            )
            for comparison in chapter.comparisons
        ),
    )


def section(
    comparison: Comparison, name: str, *, seeds: Mapping[str, int], limits: RowLimits
) -> Section:
    """One comparison under that name; `seeds` are those of the edits, by a model's identity."""
    overall = [change for change in comparison.changes if not change.group]
    grouped = [change for change in comparison.changes if change.group]
    first = overall[0].metric if overall else ""
    others = [change for change in grouped if change.metric != first]
    shown = gravest(others, most=limits.others)
    groups = [change for change in grouped if change.metric == first]
    runs = comparison.afters[: len(comparison.by_seed)]
    return Section(
        name=name,
        comparison=comparison,
        overall=change_rows(overall),
        groups=forest(groups, most=limits.groups),
        leads=_leads(groups),
        others=change_rows(shown, grouped=True),
        others_left_out=len(others) - len(shown),
        professions=scatter(comparison, most=limits.dots),
        runs=tuple(
            f"seed {seeds[after.model]}" if after.model in seeds else f"run {number}"
            for number, after in enumerate(runs, start=1)
        ),
        by_seed=_seed_texts(comparison.by_seed),
    )


def _leads(groups: Sequence[Change]) -> bool:
    """Whether there is something to see, and not too much."""
    moved = any(group.direction not in ("unchanged", "unknown") for group in groups)
    return moved and len(groups) <= _MAIN and all(group.measures_bias for group in groups)


def _seed_texts(by_seed: Sequence[Sequence[Change]]) -> dict[str, tuple[str, ...]]:
    """Each metric of the first seed to its value after every seed."""
    runs = [
        {
            change.metric: cell(change.after, change.after_low, change.after_high).text
            for change in run
        }
        for run in by_seed
    ]
    return {metric: tuple(run.get(metric, "n/a") for run in runs) for metric in (runs or [{}])[0]}


def apply_verdict(comparison: Comparison, verdict: Verdict) -> tuple[Change, ...]:
    """The changes, with p_holm and direction of the verdict where it rests on them.

    So that a page does not call "reduced" what its verdict calls "no change shown".
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
    """Two comparisons of a benchmark, measured in two ways, may have the same metric."""
    values = (change.before, change.after, change.low, change.high)
    return benchmark, change.metric, change.n, tuple(map(repr, values))


def verdict_badges(verdict: Verdict) -> tuple[Badge, Badge]:
    """The verdict's bias and ability, a word each."""
    direction: Direction = "reversed" if verdict.over_corrected else verdict.direction
    bias = ability = Badge(tone="unknown", word="not measured")
    if verdict.bias:
        bias = badge(direction)
    if verdict.ability:
        tone, word = {
            True: ("better", "kept"),
            None: ("unclear", "not shown kept"),
            False: ("worse", "lost"),
        }[verdict.kept]
        ability = Badge(tone=tone, word=word)
    return bias, ability


def _pick_tone(badges: tuple[Badge, Badge]) -> str:
    """The tone of the ability where that is the alarm, else of the bias."""
    alarms = ("worse", "reversed", "unclear")
    tones = [badge.tone for badge in badges]
    return min(tones, key=lambda tone: alarms.index(tone) if tone in alarms else len(alarms))


def model_edits(info: Mapping[str, JSON]) -> Iterable[str]:
    """Each edit of a model with its options: "lftf: objective ce_both, blocks 1, …"."""
    edits = info.get("edits")
    for edit in edits if isinstance(edits, list) else []:
        if isinstance(edit, dict) and isinstance(edit.get("options"), dict):
            yield describe_edit(edit)


def describe_edit(edit: Mapping[str, JSON]) -> str:
    """The method and its options, on a line."""
    return f"{edit.get('method')}: {options_text(edit)}"
