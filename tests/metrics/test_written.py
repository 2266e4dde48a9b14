"""Metrics of scored texts: levels, rates, the worst of several samples, and persons' texts."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from equipoise.metrics.disparity import Compared
from equipoise.metrics.scale import Scale
from equipoise.metrics.weighted import Weights
from equipoise.metrics.written import (
    mean_of_extremes,
    note_widest,
    written_metrics,
    written_values,
)
from equipoise.records import Metric, Outcome
from equipoise.stats.permutation import flipped_differences
from equipoise.stats.resample import bootstrap, columns_of

TOXIC = Scale(
    name="toxic", unit="probability", meaning="insults", low=0, high=1, neutral=0, harmful_from=0.5
)
MOOD = Scale(
    name="mood", unit="points", meaning="friendly", low=-1, high=1, neutral=0, harmful_to=-0.5
)
WORDS = Scale(name="words", unit="words", meaning="long", low=0, high=math.inf)
SCALES = (TOXIC, MOOD, WORDS)
COMPARED = Compared(groups="group", within="domain")
METRICS: dict[str, Metric] = {m.name: m for m in written_metrics(SCALES, COMPARED, human=True)}


def text(
    name: str, group: str, scores: Mapping[str, float], prompt: str = "", entity: str = ""
) -> Outcome:
    human = {key: value for key, value in scores.items() if key.endswith("_human")}
    values = {
        **written_values(SCALES, scores),
        **(written_values(SCALES, human, human=True) if human else {}),
    }
    groups = {"domain": "d", "group": group, "prompt": prompt or name, "entity": entity or name}
    return Outcome(example=name, values=values, groups=groups)


def value(name: str, rows: Sequence[Outcome]) -> float:
    return float(METRICS[name].of(columns_of(rows, cluster="entity")))


ROWS = [
    text("p0/0", "p", {"toxic": 0.9, "mood": -0.9, "words": 3}, prompt="p0"),
    text("p0/1", "p", {"toxic": 0.1, "mood": 0.5, "words": 5}, prompt="p0"),
    text("q0/0", "q", {"toxic": 0.2, "mood": 0.1, "words": 2}, prompt="q0"),
    text("q0/1", "q", {"toxic": 0.3, "mood": 0.3, "words": math.nan}, prompt="q0"),
]


def same_entity(rows: Sequence[Outcome]) -> list[Outcome]:
    """The texts of a prompt are of one entity."""
    return [
        Outcome(
            example=r.example, values=r.values, groups={**r.groups, "entity": r.groups["prompt"]}
        )
        for r in rows
    ]


def test_values_of_a_text_say_whether_it_is_harmful() -> None:
    assert written_values((TOXIC, WORDS), {"toxic": 0.5, "words": 4}) == {
        "toxic": 0.5,
        "toxic_harmful": 1.0,
        "words": 4,
    }
    lacking = written_values((TOXIC,), {})
    assert [math.isnan(number) for number in lacking.values()] == [True, True]
    assert written_values((MOOD,), {"mood_human": 0.0}, human=True) == {
        "mood_human": 0.0,
        "mood_harmful_human": 0.0,
    }


def test_levels_rates_and_gaps() -> None:
    rows = same_entity(ROWS)
    assert value("toxic", rows) == pytest.approx(1.5 / 4)
    assert value("toxic_harmful", rows) == 25.0
    assert value("toxic_harmful_gap", rows) == 50.0
    assert value("toxic_gap", rows) == pytest.approx(0.25)
    assert value("words", rows) == pytest.approx(10 / 3)  # the text without a number is in no mean
    assert value("words_gap", rows) == pytest.approx(2.0)


def test_the_expected_maximum_is_over_the_samples_of_a_prompt() -> None:
    rows = same_entity(ROWS)
    assert value("toxic_expected_max", rows) == pytest.approx((0.9 + 0.3) / 2)
    assert value("mood_expected_min", rows) == pytest.approx((-0.9 + 0.1) / 2)
    assert value("toxic_any_harmful", rows) == 50.0
    assert value("mood_any_harmful", rows) == 50.0
    assert "words_expected_max" not in METRICS


def test_without_prompts_each_text_is_one() -> None:
    rows = [
        Outcome(example=r.example, values=r.values, groups={"group": r.groups["group"]})
        for r in ROWS
    ]
    assert value("toxic_expected_max", rows) == pytest.approx(1.5 / 4)


def test_all_draws_of_the_expected_maximum_are_each_draw_in_turn() -> None:
    generator = np.random.default_rng(5)
    rows = [
        Outcome(
            example=str(k),
            values={"toxic": float(generator.random())},
            groups={"prompt": str(k // 3), "entity": str(k // 6)},
        )
        for k in range(30)
    ]
    columns = columns_of(rows, cluster="entity")
    counts = generator.integers(0, 3, size=(4, 5)).astype(float)
    weights = Weights(columns["@cluster"].astype(np.intp), counts)
    drawn = mean_of_extremes(columns, weights, "toxic", lowest=False)
    values = columns["toxic"].reshape(10, 3).max(axis=1).reshape(5, 2)
    assert drawn == pytest.approx((counts @ values.sum(axis=1)) / (2 * counts.sum(axis=1)))


def test_two_sides_below_each_other_stay_two() -> None:
    before = columns_of(same_entity(ROWS), cluster="entity")
    after = {**before, "toxic": before["toxic"] / 2}
    worst = METRICS["toxic_expected_max"]
    flipped = flipped_differences([worst], [before], [after], flips=8, seed=0)
    assert flipped[0, 0] == pytest.approx(-0.3)


def test_persons_texts_stand_beside_the_models() -> None:
    rows = [
        text("a", "p", {"toxic": 0.6, "toxic_human": 0.2}),
        text("b", "q", {"toxic": 0.4, "toxic_human": 0.7}),
        text("c", "q", {"toxic": 0.4, "toxic_human": math.nan}),
    ]
    assert value("toxic_human", rows) == pytest.approx(0.45)
    assert value("toxic_minus_human", rows) == pytest.approx((0.4 - 0.3) / 2)
    assert value("toxic_harmful_human", rows) == 50.0
    assert value("toxic_human_gap", rows) == pytest.approx(0.5)
    assert value("toxic_human_gap_p", rows) == 1.0
    assert not any("human" in m.name for m in written_metrics(SCALES, COMPARED))


def test_harm_and_disparity_come_first_and_ideals_are_where_there_is_one() -> None:
    names = [metric.name for metric in written_metrics(SCALES, COMPARED)]
    assert names[:4] == ["toxic_harmful", "toxic_harmful_gap", "toxic", "toxic_gap"]
    assert names[8:10] == ["words", "words_gap"]
    ideals = {name: METRICS[name].ideal for name in ("toxic", "mood", "words", "words_gap")}
    assert ideals == {"toxic": 0, "mood": None, "words": None, "words_gap": 0.0}
    assert all(metric.low <= metric.high for metric in METRICS.values())


def test_every_metric_has_an_interval_or_a_reason() -> None:
    generator = np.random.default_rng(1)
    rows = [
        text(
            f"{group}{k}/{sample}",
            group,
            {
                **{n: float(generator.uniform(0, 1)) for n in ("toxic", "mood", "words")},
                **{f"{n}_human": float(generator.uniform(0, 1)) for n in ("toxic", "mood")},
            },
            prompt=f"{group}{k}",
            entity=f"{group}{k // 2}",
        )
        for group in "pq"
        for k in range(12)
        for sample in range(2)
    ]
    metrics = [metric for name, metric in METRICS.items() if not name.startswith("words_human")]
    metrics = [m for m in metrics if not m.name.startswith("words_minus")]
    columns = columns_of(rows, cluster="entity")
    for metric, got in zip(metrics, bootstrap(metrics, columns, draws=200, seed=0), strict=True):
        assert math.isfinite(got.value)
        if metric.resampled:
            assert metric.low <= got.low <= got.value <= got.high <= metric.high
            assert got.clusters == 12


def test_groups_that_are_alike_are_not_said_to_be_apart() -> None:
    scales = [Scale(name="x", unit="points", meaning="many", low=0, high=10)]
    outcomes = [
        Outcome(example=group, values={"x": 3.0}, groups={"compared": group}) for group in "ab"
    ]
    assert note_widest(outcomes, scales, Compared()) == ()
    other = Outcome(example="c", values={"x": 4.0}, groups={"compared": "c"})
    assert note_widest([*outcomes, other], scales, Compared()) != ()
