"""Scores of blocks with their intervals: a panel per locator, a line per seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from equipoise.conclusions import Ranking, RankStability
from equipoise.report.axis import Axis, Tick, Whisker, axis_of, minus, whisker
from equipoise.study.study import Located

_BLOCK_TICKS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedLine:
    """One seed's ranking; places in percent from the left and from the bottom."""

    seed: int
    points: tuple[tuple[float, Whisker], ...]  # a block each, where it has a finite score


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One locator on one model."""

    locator: str
    unit: str
    lines: tuple[SeedLine, ...]
    axis: Axis  # of the scores
    blocks: tuple[Tick, ...]
    stability: str  # rank correlation over seeds, in words
    first: str  # which block came first, and how often
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlot:
    """All locators that looked at one model."""

    model: str
    panels: tuple[Panel, ...]


def block_plots(located: Sequence[Located]) -> tuple[BlockPlot, ...]:
    """One plot per model, in the order in which models first appear."""
    panels: dict[str, list[Panel]] = {}
    for located_ in located:
        panels.setdefault(located_.model, []).append(_panel(located_))
    return tuple(
        BlockPlot(model=model, panels=tuple(model_panels)) for model, model_panels in panels.items()
    )


def _panel(located: Located) -> Panel:
    rankings = located.stability.rankings
    ends = [x for ranking in rankings for x in (*ranking.scores, *ranking.low, *ranking.high)]
    axis = axis_of(ends, ticks=4)
    across = axis_of(
        [0.0, float(max((len(ranking.scores) for ranking in rankings), default=1) - 1)]
    )
    return Panel(
        locator=located.locator,
        unit=rankings[0].unit if rankings else "",
        lines=tuple(_seed_lines(located.stability, axis=axis, across=across)),
        axis=axis,
        blocks=_block_ticks(across, rankings),
        stability=_say_stability(located.stability),
        first=_say_first(located.stability),
        notes=tuple(dict.fromkeys(note for ranking in rankings for note in ranking.notes)),
    )


def _seed_lines(stability: RankStability, *, axis: Axis, across: Axis) -> list[SeedLine]:
    lines = []
    for seed, ranking in zip(stability.seeds, stability.rankings, strict=False):
        whiskers = [
            whisker(*span, axis=axis)
            for span in zip(ranking.scores, ranking.low, ranking.high, strict=True)
        ]
        points = [
            (across.at(float(block)), placed)
            for block, placed in enumerate(whiskers)
            if placed is not None
        ]
        lines.append(SeedLine(seed=seed, points=tuple(points)))
    return lines


def _block_ticks(across: Axis, rankings: Sequence[Ranking]) -> tuple[Tick, ...]:
    """Labels of components along the bottom, few enough to read."""
    if not rankings:
        return ()
    last = round(across.high)
    step = max(1, -(-last // _BLOCK_TICKS))
    return tuple(
        Tick(value=float(block), place=across.at(float(block)), text=rankings[0].label(block))
        for block in range(0, last + 1, step)
    )


def _say_stability(stability: RankStability) -> str:
    seeds = f"{len(stability.rankings)} {'seed' if len(stability.rankings) == 1 else 'seeds'}"
    drawn = f"{seeds} of {stability.sample:,} prompts"
    mean, lowest = minus(f"{stability.spearman:.2f}"), minus(f"{stability.spearman_low:.2f}")
    if math.isnan(stability.spearman):
        return f"{drawn}; Spearman n/a ({stability.reason or 'no reason is given'})"
    return f"{drawn}; Spearman {mean} between seeds (lowest {lowest}; 1: always the same order)"


def _say_first(stability: RankStability) -> str:
    total = sum(stability.first.values())
    counted = sorted(stability.first.items(), key=lambda item: (-item[1], item[0]))
    names = (
        f"{ranking.kind} {ranking.label(block)} ({n} of {total})"
        for ranking in stability.rankings[:1]
        for block, n in counted[:4]
    )
    return f"first: {', '.join(names)}"
