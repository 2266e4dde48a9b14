"""Before and after: what changed between two measurements of the same items."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from equipoise import plugins
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.conclusions import Change, Comparison, Difference, Factorial, describe_differences
from equipoise.errors import RecipeError, nearest
from equipoise.records import Estimate, Margin, Measurement, Metric
from equipoise.stats.compare import Sides, compare_metrics
from equipoise.stats.factorial import Cells, factorials, without_shares
from equipoise.stats.halves import compare_halves
from equipoise.stats.pairing import PREFIX, SAME, Paired, pair
from equipoise.stats.reduction import Stages, reductions
from equipoise.stats.related import related_sentences
from equipoise.stats.resample import by_cell, select
from equipoise.stats.settings import SETTINGS, differences_of
from equipoise.stats.target_parts import part_sentences
from equipoise.stats.verdict import holm, without_conclusion

_MOST_GROUPS = 12  # of a key, in a note


def compare(
    before: Measurement | Sequence[Measurement],
    after: Measurement | Sequence[Measurement],
    *,
    margins: Mapping[str, Margin] | None = None,
    seed: int = 0,
    draws: int = 2000,
    across: Sequence[str] = (),
) -> Comparison:
    """What changed between measurements of the same items: paired, with intervals and claims.

    `after` may be several, each a seed of a method; changes are then means over them, with the
    seeds' scatter in the interval. So may `before`, where it was learnt, too: each is then paired
    with the after of the same place, and changes are means over the pairs. The metrics are those
    of the benchmark, built again from its name and options; `margins` overrules theirs, by
    "benchmark.metric". `draws` is the number of bootstrap draws; the permutation test takes half as
    many. `notes` say whose a change is where targets were exchanged on both sides
    (`stats.target_parts`), name the items that a side lacks, and count those whose outcome is as
    before: a method may leave many untouched. They also say what changed on the items that share
    nothing with what was learnt, where a side learnt something of this kind (`Benchmark.relate`).
    `differences`: settings that the sides do not share (`stats.settings`). With any of them changes
    have their numbers, and neither p, claim nor direction: it is "not comparable". `across` names
    settings that may differ: "start", "chat", "decision", "dtype", "tokenizer", "judge", "options",
    "data".
    Raises `RecipeError` when they did not measure the same items, naming the difference, and for
    several before that are not as many as after.
    """
    befores, afters = _sides_of(before, after)
    before, *other_befores = befores
    _check_across(across)
    benchmark, *others = _check_versions(before, (*other_befores, *afters))
    sides = [
        replace(side, options=plugins.options_of(built, transport=False))
        for side, built in zip((*befores, *afters), (benchmark, *others), strict=True)
    ]
    differences = differences_of(sides[0], sides[1:], across=across)
    _check_items(before, afters, differences)
    metrics = _metrics_of_all((benchmark, *others), before.benchmark, margins or {})
    withheld = describe_differences(differences, across=False)
    paired = pair(before, afters, other_befores=other_befores, related=benchmark.related)
    if not paired.outcomes:
        raise RecipeError(
            f"{before.model} and {', '.join(after.model for after in afters)} must share measured "
            f"items of {before.benchmark}, got none; measure both on the same examples"
        )
    changes: list[Change] = []
    keys = (*benchmark.by, *([PREFIX] if paired.family else []), *benchmark.related)

    def changed(mask: NDArray[np.bool_]) -> list[Change]:
        chosen = Sides(
            before=select(paired.sides.before, mask),
            afters=tuple(select(after, mask) for after in paired.sides.afters),
            other_befores=tuple(select(side, mask) for side in paired.sides.other_befores),
        )
        return compare_metrics(metrics, chosen, draws=draws, seed=seed)

    for group, cell_changes in by_cell(paired.outcomes, keys, changed):
        changes += [replace(change, group=group) for change in cell_changes]
    if benchmark.halves and metrics:
        changes += compare_halves(metrics[0], benchmark.halves, paired, draws=draws, seed=seed)
    # each seed as if it were alone, to show how far they agree
    single = list(_by_seed(paired.sides))
    by_seed = [
        compare_metrics(metrics, sides, draws=draws, seed=seed)
        for sides in (single if len(single) > 1 else [])
    ]
    concluded = without_conclusion(holm(changes), withheld)
    return Comparison(
        before=before,
        afters=afters,
        other_befores=tuple(other_befores),
        seed=seed,
        draws=draws,
        changes=tuple(concluded),
        by_seed=tuple(tuple(without_conclusion(of_seed, withheld)) for of_seed in by_seed),
        notes=(
            *part_sentences(concluded),
            *paired.notes,
            *_note_unchanged(paired, benchmark.by),
            *related_sentences(changes, benchmark.related),
        ),
        differences=differences,
    )


def _sides_of(
    before: Measurement | Sequence[Measurement], after: Measurement | Sequence[Measurement]
) -> tuple[tuple[Measurement, ...], tuple[Measurement, ...]]:
    """Both sides as measurements of one benchmark, a seed each. Raises `RecipeError` for others."""
    befores, afters = (
        tuple(side) if isinstance(side, Sequence) and not isinstance(side, str) else (side,)
        for side in (before, after)
    )
    for side in (*befores, *afters):
        if not isinstance(side, Measurement):
            raise RecipeError(
                f"what is compared must be measurements, got {side!r:.60}; read a folder with "
                "eq.read_results and choose from it"
            )
    for seeds in (befores, afters):
        names = dict.fromkeys(measurement.benchmark for measurement in seeds)
        if len(names) > 1:
            raise RecipeError(
                "several measurements of a side must be seeds of one benchmark, got "
                f"{', '.join(names)}; compare each benchmark's own: "
                "[eq.compare(b, a) for b, a in zip(before, after)]"
            )
    if len(befores) not in (1, len(afters)):
        raise RecipeError(
            f"several measurements before must be as many as after, got {len(befores)} and "
            f"{len(afters)}; give that of each seed on both sides"
        )
    return befores, afters


def _by_seed(sides: Sides) -> Iterator[Sides]:
    """The sides of each seed alone."""
    befores = sides.befores if sides.other_befores else sides.befores * len(sides.afters)
    for before, after in zip(befores, sides.afters, strict=True):
        yield Sides(before=before, afters=(after,))


def decompose(
    neither: Measurement,
    first: Sequence[Measurement],
    second: Sequence[Measurement],
    both: Sequence[Measurement],
    *,
    seed: int = 0,
    draws: int = 2000,
) -> tuple[Factorial, ...]:
    """Whose the effect of two changes together is: of each metric of bias (`stats.factorial`).

    Measurements of the same items with neither change, with each alone and with both, per seed.
    Where their settings differ (`stats.settings`), shares are nan with the reason.
    Raises `RecipeError` when they did not measure the same items, naming the difference.
    """
    others = (*first, *second, *both)
    benchmark, *_ = _check_versions(neither, others)
    differences = differences_of(neither, others)
    _check_items(neither, others, differences)
    sides = pair(neither, others).sides
    seeds = len(both)
    cells = Cells(
        neither=sides.before,
        first=sides.afters[: len(first)],
        second=sides.afters[len(first) : -seeds],
        both=sides.afters[-seeds:],
    )
    withheld = describe_differences(differences, across=False)
    return tuple(
        without_shares(factorial, f"not comparable: {withheld}") if withheld else factorial
        for factorial in factorials(benchmark.metrics, cells, draws=draws, seed=seed)
    )


def reduction(
    base: Measurement,
    tuned: Sequence[Measurement],
    after: Sequence[Measurement],
    *,
    seed: int = 0,
    draws: int = 2000,
) -> tuple[Estimate, ...]:
    """How much of what fine-tuning added was taken away, in percent (`stats.reduction`).

    Measurements of the same items of the base, of the fine-tuned model and after a mitigation, the
    latter two per seed. Of each metric of bias, overall and of each group. Where their settings
    differ (`stats.settings`), values are nan with the reason.
    Raises `RecipeError` when they did not measure the same items, naming the difference.
    """
    others = (*tuned, *after)
    benchmark, *_ = _check_versions(base, others)
    differences = differences_of(base, others)
    _check_items(base, others, differences)
    paired = pair(base, others)

    def reduced(mask: NDArray[np.bool_]) -> list[Estimate]:
        sides = tuple(select(side, mask) for side in paired.sides.afters)
        stages = Stages(
            base=select(paired.sides.before, mask),
            tuned=sides[: len(tuned)],
            after=sides[len(tuned) :],
        )
        return reductions(benchmark.metrics, stages, draws=draws, seed=seed)

    estimates = [
        replace(estimate, group=group)
        for group, of_group in by_cell(paired.outcomes, benchmark.by, reduced)
        for estimate in of_group
    ]
    if withheld := describe_differences(differences, across=False):
        nan = math.nan
        estimates = [
            replace(estimate, value=nan, low=nan, high=nan, reason=f"not comparable: {withheld}")
            for estimate in estimates
        ]
    return tuple(estimates)


def _metrics_of_all(
    benchmarks: Sequence[AnyBenchmark], name: str, margins: Mapping[str, Margin]
) -> list[Metric]:
    """The first benchmark's metrics that all others have and that can change.

    With their margins or those given.
    """
    shared = set.intersection(*({each.name for each in other.metrics} for other in benchmarks))
    return [
        replace(metric, margin=margins.get(f"{name}.{metric.name}", metric.margin))
        for metric in benchmarks[0].metrics
        if metric.name in shared and metric.resampled
    ]


def _note_unchanged(paired: Paired, by: Sequence[str]) -> list[str]:
    """How many items have the outcome of before, over all and in each group; nothing if none.

    Groups are left out where all items are as before, and those of a key that has too many.
    """
    if not paired.unchanged.any():
        return []
    groups: list[str] = []
    for key in by:
        flags: dict[str, list[bool]] = {}
        for outcome, unchanged in zip(paired.outcomes, paired.unchanged.tolist(), strict=True):
            if key in outcome.groups:
                flags.setdefault(outcome.groups[key], []).append(unchanged)
        if 1 < len(flags) <= _MOST_GROUPS and not paired.unchanged.all():
            groups += [
                f"{key}={g}: {sum(each)} of {len(each)}" for g, each in sorted(flags.items())
            ]
    note = (
        f"{paired.unchanged.sum()} of {len(paired.outcomes)} items are as before, within {SAME:g}"
    )
    return [f"{note} ({', '.join(groups)})" if groups else note]


def compare_all(
    before: Sequence[Measurement],
    *afters: Sequence[Measurement],
    margins: Mapping[str, Margin] | None = None,
    seed: int = 0,
    draws: int = 2000,
    across: Sequence[str] = (),
) -> list[Comparison]:
    """`compare` for every benchmark that all sides measured, in the order of the before side.

    Several sides after are seeds of one method. Of several measurements of one benchmark those
    with the same options, split and settings belong together.
    Raises `RecipeError` when no benchmark is on all sides, or for a margin of another benchmark.
    """
    comparisons = []
    for measurement in before:
        twins = [_twin(measurement, before, side) for side in afters]
        present = [twin for twin in twins if twin is not None]
        if present and len(present) == len(twins):
            comparisons.append(
                compare(
                    measurement, present, margins=margins, seed=seed, draws=draws, across=across
                )
            )
    if not comparisons:
        sides = [
            sorted({measurement.benchmark for measurement in side}) for side in (before, *afters)
        ]
        raise RecipeError(
            f"a comparison needs a benchmark on both sides, got {sides[0]} before and "
            f"{', '.join(map(str, sides[1:]))} after; measure both alike"
        )
    _check_margins(margins or {}, comparisons)
    return comparisons


def _twin(
    measurement: Measurement, before: Sequence[Measurement], side: Sequence[Measurement]
) -> Measurement | None:
    """The measurement of a side that was made most alike; None where another of before is nearer.

    As where both forms, plain and chat, were measured on one side and only the plain on the other.
    """

    def distance(other: Measurement, twin: Measurement) -> tuple[bool, int]:
        settings = [(dict(m.options), m.split, m.limit) for m in (other, twin)]
        return settings[0] != settings[1], len(differences_of(other, [twin]))

    rivals = [other for other in before if other.benchmark == measurement.benchmark]
    twins = [twin for twin in side if twin.benchmark == measurement.benchmark]
    # of another setting at worst: `compare` then says in what they differ
    twin = min(twins, key=lambda twin: distance(measurement, twin), default=None)
    if twin is None or any(distance(o, twin) < distance(measurement, twin) for o in rivals):
        return None
    return twin


def _check_margins(margins: Mapping[str, Margin], comparisons: Sequence[Comparison]) -> None:
    known = {
        f"{comparison.before.benchmark}.{change.metric}": change
        for comparison in comparisons
        for change in comparison.changes
    }
    for name, margin in margins.items():
        if name not in known:
            raise RecipeError(f"a margin needs a metric, got '{name}'; {nearest(name, known)}")
        if margin.relative and known[name].higher_is_better is None:
            raise RecipeError(
                f"{name} is measured against a point, of which there are no shares, so that its "
                f"margin must be in '{known[name].unit}', got {margin.size:.0%}; write a number"
            )


def _check_across(across: Sequence[str]) -> None:
    for name in across:
        if name not in SETTINGS:
            raise RecipeError(
                f"what is compared across must be a setting, got '{name}'; name any of "
                f"{', '.join(SETTINGS)}"
            )


def _check_versions(before: Measurement, afters: Sequence[Measurement]) -> list[AnyBenchmark]:
    """The benchmark of each side, built again, since a metric is a function, which no file holds.

    Raises `RecipeError` for another benchmark, split, limit or version, on any side or here.
    """
    if not afters:
        raise RecipeError(
            f"{before.benchmark} must be measured on both sides, got {len(afters)} after; "
            "measure the changed model, too"
        )
    for after in afters:
        for field in ("benchmark", "version", "split", "limit"):
            _check_equal(field, before, after)
    benchmarks = [
        plugins.build(Benchmark, before.benchmark, side.options) for side in (before, *afters)
    ]
    if benchmarks[0].version != before.version:
        raise RecipeError(
            f"{before.benchmark} is at version {benchmarks[0].version}, these measurements were "
            f"made with {before.version}; measure both again"
        )
    return benchmarks


def _check_items(
    before: Measurement, afters: Sequence[Measurement], differences: Sequence[Difference]
) -> None:
    """Raise `RecipeError` where the items are others, so that no pair of them means anything.

    They may be asked about in another way (other options or chat form, another edition of a file);
    then they are known by their ids, and by the file that they are from.
    """
    names = {difference.name for difference in differences}
    for after in afters:
        if before.examples_sha256 == after.examples_sha256:
            continue
        ids = [{outcome.example for outcome in side.outcomes} for side in (before, after)]
        if "options" in names:
            if "data" in names or not before.data or ids[0] != ids[1]:
                _check_equal("options", before, after)
        elif not names & {"data", "chat"}:
            _check_equal("examples_sha256", before, after)


def _check_equal(field: str, before: Measurement, after: Measurement) -> None:
    sides = getattr(before, field), getattr(after, field)
    if sides[0] != sides[1]:
        raise RecipeError(
            f"two measurements are compared on the same {field}, got {sides[0]!r} before "
            f"and {sides[1]!r} after; measure both alike"
        )
