"""Gaps between groups against plain loops, and what they are by chance."""

import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import equipoise.metrics.disparity as disparities
from equipoise.metrics.disparity import (
    Chance,
    Compared,
    chance,
    chance_metrics,
    disparity,
    gap_metric,
    pair_gaps,
    range_of,
    variance_of,
)
from equipoise.metrics.weighted import Weights
from equipoise.records import Columns, Metric, Outcome
from equipoise.stats.resample import bootstrap, columns_of

COMPARED = Compared(groups="group", within="domain")
GAP = gap_metric("x", "points", COMPARED, factor=1.0, high=10.0)
METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (GAP, *chance_metrics("x", "points", COMPARED, factor=1.0))
}

#: (domain, group, entity, value)
Text = tuple[str, str, str, float]
TEXTS: list[Text] = [
    ("gender", "actors", "a", 1.0), ("gender", "actors", "a", 3.0), ("gender", "actors", "b", 2.0),
    ("gender", "actresses", "c", 6.0), ("gender", "actresses", "d", 4.0),
    ("race", "x", "e", 0.0), ("race", "y", "f", 2.0), ("race", "z", "g", 10.0),
]  # fmt: skip


def columns(texts: Sequence[Text]) -> Columns:
    rows = [
        Outcome(
            example=str(k),
            values={"x": value},
            groups={"domain": domain, "group": group, "entity": entity},
        )
        for k, (domain, group, entity, value) in enumerate(texts)
    ]
    return columns_of(rows, cluster="entity")


def once(table: Columns) -> Weights:
    return Weights.once(table["@cluster"])


def plain_gap(texts: Sequence[Text]) -> float:
    gaps = []
    for domain in {text[0] for text in texts}:
        means = []
        for group in {text[1] for text in texts if text[0] == domain}:
            values = [text[3] for text in texts if text[:2] == (domain, group)]
            means.append(math.fsum(values) / len(values))
        if len(means) > 1:
            gaps.append(max(means) - min(means))
    return math.fsum(gaps) / len(gaps) if gaps else math.nan


def test_a_gap_is_within_a_domain_and_averaged_over_domains() -> None:
    assert METRICS["x_gap"].of(columns(TEXTS)) == pytest.approx((3.0 + 10.0) / 2)
    assert METRICS["x_gap"].of(columns(TEXTS[:5])) == pytest.approx(3.0)
    means = np.array([0.0, 2.0, 10.0])
    assert variance_of(means) == pytest.approx(28.0)  # (16 + 4 + 36) / 2
    assert METRICS["x_group_sd"].of(columns(TEXTS[5:])) == pytest.approx(28.0**0.5)


TEXT = st.tuples(
    st.sampled_from(["d1", "d2"]), st.sampled_from("pqr"), st.sampled_from("abcdef"),
    st.integers(0, 10).map(float),
)  # fmt: skip


@pytest.mark.thorough
@given(st.lists(TEXT, min_size=2, max_size=25))
@settings(max_examples=60)
def test_a_gap_equals_a_plain_loop_and_repeating_all_texts_changes_nothing(
    texts: list[Text],
) -> None:
    gap = GAP.of(columns(texts))
    assert gap == pytest.approx(plain_gap(texts), nan_ok=True)
    assert GAP.of(columns([*texts, *texts])) == pytest.approx(gap, nan_ok=True)


@pytest.mark.thorough
@given(st.lists(TEXT, min_size=4, max_size=16), st.integers(0, 99))
@settings(max_examples=30)
def test_all_draws_at_once_are_each_draw_in_turn(texts: list[Text], seed: int) -> None:
    table = columns(texts)
    clusters = once(table)
    counts = np.random.default_rng(seed).integers(0, 3, size=(5, clusters.counts.shape[-1]))
    drawn = Weights(clusters.clusters, counts.astype(float))
    values = disparity(table, drawn, "x", COMPARED, spread=range_of)
    for value, count in zip(values, counts, strict=True):
        rows = [
            text
            for text, cluster in zip(texts, clusters.clusters, strict=True)
            for _ in range(count[cluster])
        ]
        assert value == pytest.approx(plain_gap(rows), nan_ok=True)


def test_a_group_of_one_cluster_has_no_interval_and_says_why() -> None:
    many: list[Text] = [("d", "p", f"p{k}", float(k)) for k in range(20)]
    (lone,) = bootstrap([GAP], columns([*many, ("d", "q", "q", 3.0)]), draws=300, seed=0)
    assert lone.value == pytest.approx(6.5)
    assert (math.isnan(lone.low), math.isnan(lone.high)) == (True, True)
    assert "bootstrap draws" in str(lone.reason)
    assert "two groups" in str(lone.reason)


def test_a_single_group_has_no_gap_and_says_why() -> None:
    (alone,) = bootstrap([GAP], columns(TEXTS[:3]), draws=100, seed=0)
    assert math.isnan(alone.value)
    assert "texts of two groups" in str(alone.reason)


def test_deals_are_those_of_whole_clusters_within_a_domain() -> None:
    # Two clusters of each group: of the six deals, each of three splits comes up equally often.
    texts: list[Text] = [
        ("d", "p", "a", 0.0), ("d", "p", "b", 1.0), ("d", "q", "c", 3.0), ("d", "q", "e", 9.0),
        ("other", "r", "f", 100.0), ("other", "s", "g", 200.0),
    ]  # fmt: skip
    table = columns(texts[:4])
    level = chance(table, once(table), "x", COMPARED, spread=range_of)
    assert level is not None
    every = [abs(sum(order[:2]) - sum(order[2:])) / 2 for order in permutations((0, 1, 3, 9))]
    assert set(np.round(level.deals, 6)) == set(np.round(every, 6))
    assert level.mean == pytest.approx(np.mean(every), abs=0.1)
    assert level.p == pytest.approx(1 / 3, abs=0.04)  # of three splits that observed is the widest
    # 100 and 200 in two groups of one cluster each: every deal is as far apart
    both = columns(texts)
    joint = chance(both, once(both), "x", COMPARED, spread=range_of)
    assert joint is not None
    assert joint.mean == pytest.approx((100 + np.mean(every)) / 2, abs=0.1)
    assert joint.p == pytest.approx(level.p, abs=0.04)


@pytest.mark.thorough
def test_clusters_of_many_texts_make_the_null_wide() -> None:
    generator = np.random.default_rng(0)
    effects = generator.normal(size=20)
    together: list[Text] = [
        ("d", "pq"[k % 2], str(k), effects[k] + 0.1 * generator.normal())
        for k in range(20)
        for _ in range(30)
    ]
    apart = [(*text[:2], f"{text[2]}/{k}", text[3]) for k, text in enumerate(together)]
    wide, narrow = (
        METRICS["x_gap_null"].of(columns(texts))
        for texts in (together, [t for t in apart if len(t) == 4])
    )
    assert wide > 4 * narrow


@pytest.mark.thorough
@pytest.mark.parametrize("alike", [0.0, 0.5])
@pytest.mark.parametrize("sizes", [((1,) * 6, (20,) * 30), ((30,) * 6, (2,) * 30)])
def test_groups_of_small_and_of_large_clusters_differ_by_chance_as_often_as_p_says(
    sizes: tuple[tuple[int, ...], ...], alike: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disparities, "DEALS", 99)
    cells = [(group, size) for group, of in enumerate(sizes) for size in of]
    groups, clusters = (
        np.repeat(numbers, [size for _, size in cells]).astype(float)
        for numbers in ([group for group, _ in cells], range(len(cells)))
    )
    weights = Weights.once(clusters)
    generator = np.random.default_rng(5)
    below = 0
    for _ in range(120):
        effects = alike * generator.normal(size=len(cells))
        values = effects[clusters.astype(int)] + generator.normal(size=len(clusters))
        table = {"x": values, "@group": groups, "@cluster": clusters}
        level = chance(table, weights, "x", Compared(groups="group"), spread=range_of)
        assert level is not None
        below += level.p <= 0.05
    # 6 are expected, more than 16 have a probability below 0.01 %; with clusters dealt with their
    # sizes it was 77 for small ones and 0 for large ones
    assert 0 < below <= 16


def test_samples_of_a_prompt_do_not_make_its_cluster_certain() -> None:
    # clusters of one and of ten prompts: repeating every sample changes no level of chance
    generator = np.random.default_rng(2)
    rows = [
        (group, f"{group}{k}", f"{group}{k} {prompt}", float(generator.normal()))
        for group, prompts in (("p", 1), ("q", 10))
        for k in range(8)
        for prompt in range(prompts)
    ]

    def level(times: int) -> float:
        outcomes = [
            Outcome(
                example="", values={"x": value},
                groups={"domain": "d", "group": group, "entity": entity, "prompt": prompt},
            )
            for group, entity, prompt, value in rows
            for _ in range(times)
        ]  # fmt: skip
        return METRICS["x_gap_null"].of(columns_of(outcomes, cluster="entity"))

    assert level(5) == pytest.approx(level(1), rel=0.03)


def test_equal_values_have_p_1_and_a_null_of_0() -> None:
    texts: list[Text] = [("d", "pq"[k % 2], str(k), 0.1) for k in range(12)]
    table = columns(texts)
    assert METRICS["x_gap"].of(table) == 0.0
    assert METRICS["x_gap_null"].of(table) == pytest.approx(0.0)
    assert METRICS["x_gap_p"].of(table) == 1.0


def test_p_is_never_0_and_the_quantile_is_the_deals() -> None:
    level = Chance(observed=5.0, deals=np.arange(2000) / 1000)
    assert level.p == 1 / 2001
    assert level.upper == pytest.approx(1.899, abs=0.01)


def test_pairs_are_named_lower_first_and_corrected_for_all() -> None:
    generator = np.random.default_rng(3)
    texts: list[Text] = [
        ("d", group, f"{group}{k}", 2.0 * (group == "r") + generator.normal())
        for group in "pqr"
        for k in range(30)
    ]
    table = columns(texts)
    pairs = pair_gaps(table, once(table), "x", COMPARED)
    assert len(pairs) == 3
    assert {pair.higher for pair in pairs if 2 in (pair.lower, pair.higher)} == {2}
    widest = max(pairs, key=lambda pair: pair.gap)
    assert widest.gap == pytest.approx(METRICS["x_gap"].of(table))
    assert widest.p == METRICS["x_gap_p"].of(table) == 1 / 2001
    (alike,) = [pair for pair in pairs if pair.higher != 2]
    assert alike.p > 0.05


def test_levels_of_chance_have_no_interval() -> None:
    metrics = list(METRICS.values())
    intervals = bootstrap(metrics, columns(TEXTS), draws=50, seed=0)
    fixed = [metric.name for metric in metrics if not metric.resampled]
    assert fixed == ["x_gap_null", "x_gap_null_95", "x_gap_p", "x_group_sd_null"]
    for metric, interval in zip(metrics, intervals, strict=True):
        assert math.isfinite(interval.value)
        if not metric.resampled:
            assert str(interval.reason).endswith("has no interval")


def test_the_interval_of_a_gap_reaches_as_far_as_the_groups_means_may() -> None:
    generator = np.random.default_rng(4)
    texts: list[Text] = [
        ("d", group, f"{group}{k}", float(generator.normal()))
        for group in "pqrs"
        for k in range(25)
    ]
    table = columns(texts)
    gap, *_, sd, _ = bootstrap(list(METRICS.values()), table, draws=400, seed=0)
    # groups are alike: the gap is what chance makes, and 0 is in reach
    assert gap.low == 0.0 < gap.value < gap.high
    assert sd.low == 0.0 < sd.value < sd.high
    apart = [(d, g, e, x + 5.0 * (g == "s")) for d, g, e, x in texts]
    (far, *_) = bootstrap([GAP], columns(apart), draws=400, seed=0)
    assert 3.0 < far.low < far.value < far.high < 10.0
    assert far.high - far.value == pytest.approx(far.value - far.low)


# --- clusters that hold every group ---------------------------------------------------------------

PAIRED = Compared(groups="group", within="domain", paired=True)


def scenes(shift: float, seed: int) -> Columns:
    """Of 20 scenes that differ widely, a text about each of three groups."""
    rng = np.random.default_rng(seed)
    texts = [
        ("people", group, f"scene {k}", 10.0 * k + shift * (group == "c") + rng.normal())
        for k in range(20)
        for group in "abc"
    ]
    return columns(texts)


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_dealt_within_a_scene(seed: int) -> None:
    table = scenes(2.0, seed)
    paired = chance(table, once(table), "x", PAIRED, spread=range_of)
    across = chance(table, once(table), "x", COMPARED, spread=range_of)
    assert paired is not None
    assert across is not None
    assert paired.observed == across.observed
    # what scenes differ in is no difference of groups
    assert paired.p < 0.01 < across.p
    assert paired.upper < across.upper / 5


@pytest.mark.thorough
def test_in_scenes_alone_there_is_seldom_a_gap() -> None:
    ps = []
    for seed in range(100):
        table = scenes(0.0, 1000 + seed)
        level = chance(table, once(table), "x", PAIRED, spread=range_of)
        assert level is not None
        ps.append(level.p)
    assert sum(p <= 0.05 for p in ps) <= 12  # of 100 more have a probability below 0.5 %
    assert np.mean(ps) == pytest.approx(0.5, abs=0.1)
