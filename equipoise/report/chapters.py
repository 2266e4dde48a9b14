"""A chapter of the page: what a mitigation did to a model, with its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from equipoise.conclusions import UNSTATED, Change, Comparison, Direction, Verdict, title_of
from equipoise.records import JSON
from equipoise.report.elbow_plot import ElbowPlot, elbow_plots
from equipoise.report.provenance import options_text
from equipoise.report.rows import Badge, cell, direction_badge
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import Chapter, Study

_MAIN = 12  # groups of a plot that is not folded
_ALARMS = ("worse", "reversed", "not-comparable", "unclear")


class ChapterView(NamedTuple):
    """A mitigation of a model, as the page shows it."""

    title: str
    edits: tuple[str, ...]  # in words
    chapter: Chapter  # its changes corrected by its verdict
    elbows: tuple[ElbowPlot, ...] = ()  # of edits that remove heads


def study_chapters(study: Study) -> list[ChapterView]:
    """A view of every chapter of a study."""
    return [
        ChapterView(
            chapter.title,
            tuple(dict.fromkeys(map(_describe_edit, chapter.edits))),
            apply_verdict(chapter),
            tuple(elbow_plots(chapter.edits)),
        )
        for chapter in study.chapters
    ]


def comparison_chapters(
    comparisons: Sequence[Comparison], names: Mapping[str, str]
) -> list[ChapterView]:
    """A view per pair of models; `names` gives an edited model a title, by its identity."""
    pairs: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in comparisons:
        pairs.setdefault((comparison.before.model, comparison.after.model), []).append(comparison)
    views = []
    for (before, after), alike in pairs.items():
        chapter = Chapter(
            model=before,
            mitigation=names.get(after, after),
            comparisons=tuple(alike),
            verdict=verdict_of(alike),
            edits=(),
        )
        stored = alike[0].after.model_info.get("edits")
        edits = [
            _describe_edit(edit)
            for edit in (stored if isinstance(stored, list) else [])
            if isinstance(edit, dict) and isinstance(edit.get("options"), dict)
        ]
        title = names.get(after, f"{before} → {after}")
        views.append(ChapterView(title, tuple(dict.fromkeys(edits)), apply_verdict(chapter)))
    return views


def _describe_edit(edit: Mapping[str, JSON]) -> str:
    """The method and its options: "lftf: objective ce_both, blocks 1, …"."""
    return f"{edit.get('method')}: {options_text(edit)}"


def apply_verdict(chapter: Chapter) -> Chapter:
    """The chapter, its overall changes with p_holm and direction of the verdict on them.

    So that a page does not call "reduced" what its verdict calls "no change shown".
    """
    corrected = {
        identify_change(headline.benchmark, headline.change): headline.change
        for headline in (*chapter.verdict.bias, *chapter.verdict.ability)
    }
    comparisons = (
        replace(
            comparison,
            changes=tuple(
                change
                if change.group
                else corrected.get(identify_change(title_of(comparison.before), change), change)
                for change in comparison.changes
            ),
        )
        for comparison in chapter.comparisons
    )
    return replace(chapter, comparisons=tuple(comparisons))


def identify_change(benchmark: str, change: Change) -> tuple[object, ...]:
    """Equal for an overall change and the same as a verdict corrects it.

    Two comparisons of a benchmark, measured in two ways, may have the same metric.
    """
    values = (change.before, change.after, change.low, change.high)
    # by repr, for nan does not equal itself
    return benchmark, change.metric, change.n, tuple(map(repr, values))


def verdict_badges(verdict: Verdict) -> tuple[Badge, Badge]:
    """The verdict's bias and ability, a word each."""
    direction: Direction = "reversed" if verdict.over_corrected else verdict.direction
    bias = ability = Badge("unknown", "not measured")
    if verdict.bias:
        bias = direction_badge(direction)
    if verdict.ability:
        ability = {
            True: Badge("better", "kept"),
            None: Badge("unclear", "not shown kept"),
            False: Badge("worse", "lost"),
        }[verdict.kept]
        if verdict.kept is None and verdict.direction == "not comparable":
            ability = direction_badge(verdict.direction)
        elif not any(headline.could_be_lost for headline in verdict.ability):
            ability = Badge("unclear", "nothing to keep")
    return bias, ability


def verdict_tone(verdict: Verdict) -> str:
    """The tone of the ability where that is the alarm, else of the bias."""
    tones = [badge.tone for badge in verdict_badges(verdict)]
    return min(tones, key=lambda tone: (*_ALARMS, tone).index(tone))


def leads(groups: Sequence[Change]) -> bool:
    """Whether the plot of these groups is a main plot: few groups of a bias, and some moved."""
    still = ("unchanged", *UNSTATED)
    moved = any(group.direction not in still for group in groups)
    return moved and len(groups) <= _MAIN and all(group.measures_bias for group in groups)


def seed_texts(by_seed: Sequence[Sequence[Change]]) -> dict[str, list[str]]:
    """Each metric of the first seed to its value after every seed."""
    runs = [
        {
            change.metric: cell(change.after, change.after_low, change.after_high).text
            for change in run
        }
        for run in by_seed
    ]
    return {metric: [run.get(metric, "n/a") for run in runs] for metric in (runs or [{}])[0]}
