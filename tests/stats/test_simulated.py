"""Simulated studies with a known truth: intervals cover it, verdicts are right as often as said.

Each case is a simulation with a fixed seed. With 120 studies a share of 95 % is known to 2 points
(one standard error, by which 93 to 97 % is widened below); the slow ones have 3,000 and know it to
0.4. Fewer draws than the 2,000 of a real comparison cost up to a point of coverage.
"""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from equipoise.conclusions import Change, Comparison
from equipoise.metrics.preference import rate, stereotype_score
from equipoise.metrics.weighted import Weighted
from equipoise.records import Column, Margin, Measurement, Metric
from equipoise.stats.compare import Sides, compare_metrics
from equipoise.stats.resample import bootstrap
from equipoise.stats.verdict import verdict_of

DRAWS = 200  # for verdicts; the permutation test is exact with any number
COVERING = 600  # for intervals, whose ends are percentiles of so many draws
SIZES = [120, pytest.param(3000, marks=pytest.mark.slow)]

MEAN = Metric(name="mean", of=Weighted(lambda c, w: w.mean(c["x"])), unit="", source="t", ideal=0.0)
SHARE = Metric(
    name="ss", of=Weighted(lambda c, w: stereotype_score(c["x"], w)), unit="%", source="t",
    ideal=50.0, low=0.0, high=100.0, margin=Margin(size=5.0),
)  # fmt: skip

Draw = Callable[[np.random.Generator], tuple[Column, Column]]  # values and cluster codes


def covers(share: float, number: int, *, most: float = 0.97) -> bool:
    """Whether 93 to 97 % is in reach of the share of so many studies that held the truth."""
    error = (0.05 * 0.95 / number) ** 0.5
    return 0.93 - error <= share <= most + error


def codes(clusters: int, size: int) -> Column:
    return cast(Column, np.repeat(np.arange(clusters), size))


def alike(generator: np.random.Generator) -> tuple[Column, Column]:
    """60 independent examples."""
    return generator.normal(size=60), codes(60, 1)


def clustered(generator: np.random.Generator) -> tuple[Column, Column]:
    """25 clusters of 6; half of the variance is the cluster's own."""
    effects = np.repeat(generator.normal(size=25), 6)
    return effects + generator.normal(size=150), codes(25, 6)


def skewed(generator: np.random.Generator) -> tuple[Column, Column]:
    """40 clusters of 3 with exponential values, mean 0."""
    return np.repeat(generator.exponential(size=40) - 1.0, 3), codes(40, 3)


def counted(generator: np.random.Generator) -> tuple[Column, Column]:
    """30 terms with preferences of their own, 60 % on average."""
    shares = np.repeat(generator.beta(6, 4, size=30), 5)
    return (generator.random(150) < shares).astype(float), codes(30, 5)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("metric", "draw", "truth"),
    [
        pytest.param(MEAN, alike, 0.0, marks=pytest.mark.slow),
        (MEAN, clustered, 0.0),
        pytest.param(MEAN, skewed, 0.0, marks=pytest.mark.slow),
        (SHARE, counted, 60.0),
    ],
    ids=["alike", "clustered", "skewed", "counted"],
)
@pytest.mark.parametrize("number", SIZES)
def test_a_95_percent_interval_covers_the_truth(
    metric: Metric, draw: Draw, truth: float, number: int
) -> None:
    generator = np.random.default_rng(1)
    held = 0
    for study in range(number):
        values, clusters = draw(generator)
        columns = {"x": values, "@cluster": clusters}
        (estimate,) = bootstrap([metric], columns, draws=COVERING, seed=study)
        held += estimate.low <= truth <= estimate.high
    assert covers(held / number, number)


@pytest.mark.thorough
@pytest.mark.parametrize("number", SIZES)
def test_intervals_of_correlated_paired_differences_cover(number: int) -> None:
    generator = np.random.default_rng(2)
    held = sum(
        change.low <= -0.3 <= change.high
        for change in studies(generator, shift=-0.3, seeds=1, number=number)
    )
    assert covers(held / number, number)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("seeds", "number"), [(3, 60), *(pytest.param(k, 400, marks=pytest.mark.slow) for k in (3, 5))]
)
def test_intervals_over_seeds_cover(seeds: int, number: int) -> None:
    """Not less than stated; two uncertainties added as if each were alone may be a little wide."""
    generator = np.random.default_rng(3)
    held = sum(
        change.low <= -0.3 <= change.high
        for change in studies(generator, shift=-0.3, seeds=seeds, number=number, scatter=0.2)
    )
    assert covers(held / number, number, most=0.99)


def studies(
    generator: np.random.Generator, *, shift: float, seeds: int, number: int, scatter: float = 0.0
) -> Iterator[Change]:
    """Changes of a clustered mean by `shift`, with noise of each item and of each seed."""
    for study in range(number):
        before, clusters = clustered(generator)
        afters = [
            before + shift + generator.normal() * scatter + generator.normal(size=len(before))
            for _ in range(seeds)
        ]
        sides = Sides(
            before={"x": before, "@cluster": clusters},
            afters=tuple({"x": after, "@cluster": clusters} for after in afters),
        )
        yield compare_metrics([MEAN], sides, draws=COVERING, seed=study)[0]


def preferences(
    generator: np.random.Generator, *, before: float, after: float, terms: int = 40
) -> Change:
    """SS of items whose preference is drawn anew on each side, with the shares given."""
    clusters = codes(terms, 5)
    sides = [
        (generator.random(5 * terms) < share).astype(float) for share in (before, after)
    ]  # fmt: skip
    rows = Sides(
        before={"x": sides[0], "@cluster": clusters},
        afters=({"x": sides[1], "@cluster": clusters},),
    )
    return compare_metrics([SHARE], rows, draws=DRAWS, seed=int(generator.integers(99)))[0]


def comparison(name: str, *changes: Change) -> Comparison:
    measured = cast(Measurement, SimpleNamespace(benchmark=name, label="", references=()))
    return Comparison(before=measured, afters=(measured,), seed=0, draws=DRAWS, changes=changes)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("benchmarks", "number"),
    [(1, 120), (4, 30), *(pytest.param(k, 2000 // k, marks=pytest.mark.slow) for k in (1, 4))],
)
def test_no_effect_is_unchanged_in_95_percent(benchmarks: int, number: int) -> None:
    generator = np.random.default_rng(4)
    unchanged = 0
    for _ in range(number):
        changes = [preferences(generator, before=0.65, after=0.65) for _ in range(benchmarks)]
        verdict = verdict_of([comparison(str(k), change) for k, change in enumerate(changes)])
        unchanged += verdict.direction == "unchanged"
    few = (0.05 * 0.95 / number) ** 0.5 if number < 500 else 0.0  # the chance of a few studies
    assert unchanged / number >= 0.95 - few


def test_a_flipped_preference_is_reversed() -> None:
    generator = np.random.default_rng(5)
    verdicts = [
        verdict_of([comparison("ss", preferences(generator, before=0.8, after=0.2))])
        for _ in range(50)
    ]
    assert {verdict.direction for verdict in verdicts} == {"reversed"}
    assert all(verdict.over_corrected for verdict in verdicts)


@pytest.mark.thorough
def test_parity_is_reduced_and_not_reversed() -> None:
    generator = np.random.default_rng(6)
    directions = [preferences(generator, before=0.8, after=0.5).direction for _ in range(100)]
    assert directions.count("reduced") >= 90
    assert directions.count("reversed") <= 6  # 2.5 by the interval after, and noise


@pytest.mark.thorough
@pytest.mark.parametrize("number", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_equivalence_at_the_margin_is_claimed_in_at_most_5_percent(number: int) -> None:
    generator = np.random.default_rng(7)
    shown = 0
    for _ in range(number):
        claim = preferences(generator, before=0.6, after=0.55, terms=200).claim
        assert claim is not None
        shown += claim.shown
    assert 0 < shown / number <= 0.05 + 2 * (0.05 * 0.95 / number) ** 0.5


@pytest.mark.thorough
def test_true_equivalence_is_claimed_in_a_large_sample() -> None:
    generator = np.random.default_rng(8)
    claims = [preferences(generator, before=0.6, after=0.5, terms=200).claim for _ in range(100)]
    assert (
        sum(claim is not None and claim.shown for claim in claims) >= 80
    )  # metrics.md: n = 860 for 80 %


@pytest.mark.thorough
def test_a_loss_at_the_margin_is_not_worse_in_at_most_5_percent() -> None:
    generator = np.random.default_rng(9)
    ability = Metric(
        name="accuracy", of=Weighted(lambda c, w: rate(c["x"], w)), unit="%", source="t",
        higher_is_better=True, margin=Margin(size=2.0),
    )  # fmt: skip
    shown, number = 0, 100
    for study in range(number):
        before = generator.random(300) < 0.8
        after = np.where(generator.random(300) < 0.025, False, before)  # 2 points lost
        rows = Sides(
            before={"x": before.astype(float), "@cluster": codes(300, 1)},
            afters=({"x": after.astype(float), "@cluster": codes(300, 1)},),
        )
        (change,) = compare_metrics([ability], rows, draws=DRAWS, seed=study)
        assert change.claim is not None
        shown += change.claim.shown
    assert shown / number <= 0.08


@pytest.mark.thorough
def test_swapping_stereotype_and_antistereotype_mirrors_the_change() -> None:
    generator = np.random.default_rng(10)
    clusters = codes(30, 5)
    for study in range(30):
        shares = generator.uniform(0.1, 0.9, size=2)
        sides = [(generator.random(150) < share).astype(float) for share in shares]
        original, mirrored = (
            compare_metrics(
                [SHARE],
                Sides(
                    before={"x": flip(sides[0]), "@cluster": clusters},
                    afters=({"x": flip(sides[1]), "@cluster": clusters},),
                ),
                draws=DRAWS, seed=study,
            )[0]
            for flip in (lambda x: x, lambda x: 1.0 - x)
        )  # fmt: skip
        assert mirrored.direction == original.direction
        assert mirrored.difference == pytest.approx(-original.difference)
        assert (mirrored.low, mirrored.high) == (
            pytest.approx(-original.high),
            pytest.approx(-original.low),
        )
        assert (mirrored.after_low, mirrored.after_high) == (
            pytest.approx(100 - original.after_high), pytest.approx(100 - original.after_low),
        )  # fmt: skip
        assert mirrored.p == original.p
        assert original.claim is not None
        assert mirrored.claim is not None
        assert mirrored.claim.shown == original.claim.shown
        assert mirrored.claim.value == pytest.approx(-original.claim.value)
