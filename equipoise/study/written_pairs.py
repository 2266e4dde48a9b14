"""What a model wrote before and after, side by side: the pairs that a page shows, with prompts.

A page cannot hold every text, so that it has those that changed most, on every scale, and a random
sample of the rest, which shows what usually happens.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from equipoise import plugins
from equipoise.benchmarks.base import AnyBenchmark, Benchmark, JudgesTexts, ScoresTexts
from equipoise.conclusions import Comparison, WrittenPair
from equipoise.errors import EquipoiseError
from equipoise.records import Example, Generation, Outcome, Request
from equipoise.stats.pairing import ITEM
from equipoise.study.changed_examples import items_of

MOST = 40  # of the largest changes
DRAWN = 20  # of the rest, at random


def with_pairs(
    comparison: Comparison, benchmark: AnyBenchmark, *, most: int = MOST, drawn: int = DRAWN
) -> Comparison:
    """The comparison with pairs of what was written on its first seed; `written` counts them all.

    Of a benchmark that scores or judges texts; as it is for any other. `most` pairs that changed
    most: the first of each scale, then the second of each, and so on, until there are so many.
    `drawn` of the rest are drawn with the comparison's seed.
    Raises `DataError` when the benchmark's files are missing.
    """
    if not isinstance(benchmark, ScoresTexts | JudgesTexts):
        return comparison
    after = {outcome.example: outcome for outcome in comparison.after.outcomes}
    both = [
        (outcome, after[outcome.example])
        for outcome in comparison.before.outcomes
        if outcome.example in after
    ]
    both = [sides for sides in both if None not in (sides[0].text, sides[1].text)]
    if not both:
        return comparison
    first = [*islice(_most_changed(both), most)]
    rest = np.setdiff1d(np.arange(len(both)), first)
    count = min(drawn, len(rest))
    sample = np.random.default_rng(comparison.seed).choice(rest, size=count, replace=False)
    items = items_of(comparison.before, benchmark)
    pairs = []
    for row in (*first, *sorted(sample.tolist())):
        before, later = both[row]
        example, requests = items[before.groups.get(ITEM, before.example)]
        pairs.append(
            WrittenPair(
                example=before.example,
                groups=before.groups,
                prompt=prompt_of(benchmark, example, before, requests),
                before=before.text or "",
                after=later.text or "",
                scores_before=before.values,
                scores_after=later.values,
                drawn=row not in first,
            )
        )
    return replace(comparison, pairs=tuple(pairs), written=len(both))


def with_readable_pairs(comparison: Comparison) -> Comparison:
    """The same of a comparison of stored results, its benchmark built again by name and options.

    Where its files cannot be read, a note says why no texts are shown.
    """
    try:
        benchmark = plugins.build(Benchmark, comparison.before.benchmark, comparison.before.options)
        return with_pairs(comparison, benchmark)
    except EquipoiseError as error:
        note = f"no texts are shown side by side: {error}"
        return replace(comparison, notes=(*comparison.notes, note))


def _most_changed(both: Sequence[tuple[Outcome, Outcome]]) -> Iterator[int]:
    """Rows that changed, in turns from each scale, its largest change first; each row once."""
    scales = dict.fromkeys(name for before, _ in both for name in before.values)
    columns = []
    for name in scales:
        moves = np.array(
            [
                abs(after.values.get(name, math.nan) - before.values.get(name, math.nan))
                for before, after in both
            ]
        )
        order = np.argsort(-np.where(np.isfinite(moves), moves, -1.0), kind="stable")
        columns.append([int(row) for row in order if moves[row] > 0])
    seen: set[int] = set()
    for place in range(max(map(len, columns), default=0)):
        for column in columns:
            if place < len(column) and column[place] not in seen:
                seen.add(column[place])
                yield column[place]


def prompt_of(
    benchmark: AnyBenchmark, example: Example, outcome: Outcome, requests: Sequence[Request]
) -> str:
    """What was continued: as the scorers see it, else the context of the last text asked for."""
    if isinstance(benchmark, ScoresTexts):
        written = benchmark.written(example, outcome)
        if written is not None:
            return written.prompt
    contexts = [request.context for request in requests if isinstance(request, Generation)]
    return contexts[-1] if contexts else ""
