"""Metrics by group: intervals that hold together, gaps, and what a group could have shown."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from equipoise.metrics.weighted import Weighted
from equipoise.records import Metric, Outcome
from equipoise.slices import Slice, SliceTable
from equipoise.stats.slicing import ITEM, detectable_effect, slice_table, slice_tables

SHARE = Metric(
    name="share", of=Weighted(lambda c, w: 100 * w.mean(c["x"])), unit="%", source="test",
    ideal=50.0, low=0.0, high=100.0,
)  # fmt: skip
MEAN = replace(SHARE, name="mean", of=Weighted(lambda c, w: w.mean(c["x"])), low=-math.inf)
MEAN = replace(MEAN, high=math.inf, ideal=0.0)


def rows(shares: Sequence[float], *, clusters: int, size: int = 1, seed: int = 0) -> list[Outcome]:
    """Groups g0, g1, … of so many clusters each, whose items are 1 with that probability."""
    generator = np.random.default_rng(seed)
    return [
        Outcome(
            example=f"{g}.{c}.{k}", values={"x": float(generator.random() < share)},
            groups={"g": f"g{g}", "cluster": f"{g}.{c}", "half": "ab"[c % 2]},
        )
        for g, share in enumerate(shares)
        for c in range(clusters)
        for k in range(size)
    ]  # fmt: skip


def made(
    outcomes: Sequence[Outcome],
    *by: str,
    metric: Metric = SHARE,
    cluster: str | None = None,
    draws: int = 300,
) -> SliceTable:
    table = slice_table(metric, outcomes, by or ("g",), cluster=cluster, draws=draws, seed=0)
    assert table is not None
    return table


def named(table: SliceTable, name: str) -> Slice:
    return next(each for each in table.slices if name in each.group.values())


def test_values_gaps_and_the_worst_group() -> None:
    table = made(rows([0.5, 0.9, 0.4], clusters=150))
    values = {each.group["g"]: each.value for each in table.slices}
    assert table.reference == 50.0
    assert table.worst is not None
    assert table.worst.group == {"g": "g1"}
    assert table.worst.evidence == "apart"
    assert table.difference[0] == pytest.approx(values["g1"] - values["g2"])
    assert table.ratio[0] == pytest.approx(values["g2"] / values["g1"])
    assert table.differs
    for value, low, high in (table.difference, table.ratio):
        assert low <= value <= high
    assert named(table, "g0").evidence == "not apart"


def test_intervals_are_wider_than_each_for_itself() -> None:
    """Of 10 groups of 50: at least Šidák's 2.80 standard errors, not 1.96."""
    table = made(rows([0.5] * 10, clusters=50), draws=2000)
    for each in table.slices:
        share = (50 * each.value / 100 + 2) / 54  # no smaller than expected at this value
        error = 100 * math.sqrt(max(each.value / 100 * (1 - each.value / 100), 0.2) / 49)
        assert (each.high - each.low) / 2 > 2.6 * min(
            error, 100 * math.sqrt(share * (1 - share) / 50)
        )


def test_few_units_are_insufficient_and_equal_answers_show_nothing() -> None:
    small = [
        *rows([0.5, 0.5], clusters=40),
        *(
            Outcome(example=f"s{k}", values={"x": 1.0}, groups={"g": "small"})
            for k in range(5)
        ),
        *(
            Outcome(example=f"a{k}", values={"x": 1.0}, groups={"g": "alike"})
            for k in range(6)
        ),
    ]  # fmt: skip
    table = made(small)
    few, alike = named(table, "small"), named(table, "alike")
    assert few.evidence == "insufficient"
    assert math.isnan(few.low)
    assert few.reason == "an interval needs at least 6 independent units, got 5"
    assert (alike.value, alike.high) == (100.0, 100.0)
    assert alike.low < 60.0
    assert math.isnan(alike.detectable)  # not even a bias of 50 points
    assert alike.evidence == "insufficient"


@pytest.mark.thorough
def test_what_could_have_been_seen_is_seen_four_times_in_five() -> None:
    """Of groups that lie as far off as `detectable` says, about 80 % are found apart."""
    table = made(rows([0.5, 0.5], clusters=200), draws=400)
    effect = np.mean([each.detectable for each in table.slices])
    apart = [
        each.evidence == "apart"
        for seed in range(40)
        for each in made(
            rows([0.5 + effect / 100] * 2, clusters=200, seed=seed + 1), draws=200
        ).slices
    ]
    assert 0.68 <= np.mean(apart) <= 0.95


def test_no_possible_effect_could_have_been_seen_in_a_single_item() -> None:
    outcomes = [*rows([0.5, 0.5], clusters=40)]
    outcomes += [Outcome(example="s", values={"x": 1.0}, groups={"g": "single"})]
    single = named(made(outcomes), "single")
    assert math.isnan(single.detectable)
    assert single.evidence == "insufficient"


def test_groups_within_a_cluster_have_their_items_for_units() -> None:
    outcomes = rows([0.5, 0.5, 0.5], clusters=1, size=30)
    within = made(outcomes, cluster="cluster")
    assert within.units == ITEM
    assert [each.units for each in within.slices] == [30, 30, 30]
    across = made(rows([0.5, 0.5], clusters=10, size=3), cluster="cluster")
    assert across.units == "cluster"
    assert [(each.n, each.units) for each in across.slices] == [(30, 10), (30, 10)]


def test_groups_that_share_clusters_are_drawn_together() -> None:
    """Each cluster has a row in either group, 10 apart: the gap is certain, the values are not."""
    generator = np.random.default_rng(0)
    outcomes = [
        Outcome(
            example=f"{c}{side}", values={"x": lean + 10.0 * side},
            groups={"g": str(side), "cluster": str(c)},
        )
        for c, lean in enumerate(generator.normal(0, 30, 40))
        for side in (0, 1)
    ]  # fmt: skip
    table = made(outcomes, metric=MEAN, cluster="cluster")
    value, low, high = table.difference
    assert value == pytest.approx(10.0)
    assert high - low < 1e-6
    assert table.slices[0].high - table.slices[0].low > 10.0
    assert math.isnan(table.ratio[0])  # of a metric that may be below 0


def test_a_ratio_of_numbers_near_zero_is_not_known() -> None:
    tiny = [
        replace(row, values={"x": 1e-300 if row.groups["g"] == "g0" and k % 9 else 1e-3})
        for k, row in enumerate(rows([0.5, 0.5], clusters=20))
    ]
    value, low, high = made(tiny, metric=replace(MEAN, low=0.0)).ratio
    assert 0.0 <= low <= value <= high <= 1.0


def test_an_ability_is_compared_with_the_value_of_all() -> None:
    able = replace(SHARE, ideal=100.0, higher_is_better=True)
    table = made(rows([0.9, 0.9, 0.3], clusters=60), metric=able)
    assert table.reference == pytest.approx(np.mean([each.value for each in table.slices]))
    assert table.worst is not None
    assert table.worst.group == {"g": "g2"}


def test_tables_of_keys_and_of_the_first_two_together() -> None:
    outcomes = rows([0.5, 0.8], clusters=12, size=2)
    tables = [
        *slice_tables(
            SHARE, outcomes, ("g", "half", "absent", "cluster"), cluster="cluster", draws=50, seed=0
        )
    ]
    assert [table.by for table in tables] == [("g",), ("half",), ("cluster",), ("g", "half")]
    assert len(tables[-1].slices) == 4
    nested = [
        replace(outcome, groups={**outcome.groups, "half": outcome.groups["g"]})
        for outcome in outcomes
    ]
    plain = slice_tables(SHARE, nested, ("g", "half"), cluster="cluster", draws=50, seed=0)
    assert [table.by for table in plain] == [("g",), ("half",)]


def test_no_table_of_a_single_group_or_of_a_p_value() -> None:
    outcomes = rows([0.5], clusters=30)
    assert slice_table(SHARE, outcomes, ("g",), cluster=None, draws=9, seed=0) is None
    two = rows([0.5, 0.6], clusters=30)
    p_value = replace(SHARE, resampled=False)
    assert slice_table(p_value, two, ("g",), cluster=None, draws=9, seed=0) is None


def test_without_draws_nothing_is_shown() -> None:
    table = made(rows([0.5, 1.0], clusters=30), draws=0)
    assert {each.evidence for each in table.slices} == {"insufficient"}
    assert {each.reason for each in table.slices} == {"no bootstrap draws were asked for"}
    assert table.worst is None
    assert not table.differs


def test_detectable_effect_by_hand() -> None:
    error = 2.0
    half = error * stats.t.ppf(0.975, 29)
    effect = detectable_effect(50 - half, 50 + half, units=30)
    assert effect == pytest.approx(error * (stats.t.ppf(0.975, 29) + stats.t.ppf(0.8, 29)))
    assert math.isnan(detectable_effect(math.nan, 1.0, units=30))
    assert math.isnan(detectable_effect(0.0, 1.0, units=1))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("shares", "clusters", "size"),
    [
        ((0.5,) * 4, 40, 1),
        pytest.param((0.5,) * 20, 8, 1, marks=pytest.mark.slow),
        pytest.param((0.9,) * 4, 20, 1, marks=pytest.mark.slow),
        pytest.param((0.5, 0.6, 0.7, 0.8), 25, 1, marks=pytest.mark.slow),
        pytest.param((0.5,) * 5, 10, 6, marks=pytest.mark.slow),
    ],
)
def test_all_intervals_hold_at_once(
    request: pytest.FixtureRequest, shares: tuple[float, ...], clusters: int, size: int
) -> None:
    """In about 95 % of samples; also that of the group which looks worst, and the largest gap."""
    trials = 400 if request.node.get_closest_marker("slow") else 60
    hold, worst, gap = [], [], []
    for seed in range(trials):
        table = made(
            rows(shares, clusters=clusters, size=size, seed=seed),
            cluster="cluster" if size > 1 else None,
            draws=200,
        )
        truth = {f"g{k}": 100 * share for k, share in enumerate(shares)}
        inside = {
            name: each.low <= truth[name] <= each.high
            for each in table.slices
            for name in each.group.values()
        }
        hold.append(all(inside.values()))
        farthest = max(table.slices, key=lambda each: abs(each.value - 50.0))
        worst.append(inside[farthest.group["g"]])
        gap.append(table.difference[1] <= np.ptp([*truth.values()]) <= table.difference[2])
    for share in (np.mean(hold), np.mean(worst), np.mean(gap)):
        assert share >= 0.90
