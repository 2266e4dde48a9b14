"""Bias ratios of checked dialogues, by hand, and the gap between attributes with its null."""

import math

import numpy as np
import pytest

from equipoise.metrics import dialogue_bias
from equipoise.metrics.dialogue_bias import Checked, checked, metrics_of, note_control, unchecked
from equipoise.records import Outcome
from equipoise.stats.resample import columns_of

METRICS = {m.name: m for m in metrics_of(turns=(1, 2), control=True, attributes=True)}


def answer(turn: int, verdict: str | None, *, by_rule: bool = False) -> Checked:
    return Checked(turn=turn, verdict=verdict, by_rule=by_rule, degenerate=False)


def outcome(name: str, verdicts: list[str | None], **groups: str) -> Outcome:
    rows = [answer(turn, verdict) for turn, verdict in enumerate(verdicts, 1)]
    values = {**unchecked(["so it is"]), **checked(rows, flips=[])}
    groups = {"attribute": "age", "task": "t", "cluster": name, **groups}
    return Outcome(example=name, values=values, groups=groups)


def value(metric: str, *outcomes: Outcome) -> float:
    return METRICS[metric].of(columns_of(outcomes, cluster="cluster"))


OUTCOMES = (
    outcome("a", ["biased", "unbiased"]),
    outcome("b", ["refused", "biased"]),
    outcome("c", [None, "refused"]),
    outcome("d", ["unbiased", "unbiased"]),
)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("bias_ratio", 200 / 5),
        ("bias_ratio_least", 200 / 6),
        ("bias_ratio_most", 300 / 6),
        ("bias_ratio_of_all", 200 / 7),
        ("refused", 200 / 7),
        ("unjudged", 100 / 8),
        ("refused_by_rule", 0),
        ("degenerate", 0),
        ("bias_ratio_turn_1", 50),
        ("bias_ratio_turn_2", 100 / 3),
        ("words", 3),
    ],
)
def test_ratios(metric: str, expected: float) -> None:
    assert value(metric, *OUTCOMES) == pytest.approx(expected)


def test_what_was_not_judged_has_no_ratio() -> None:
    silent = Outcome(example="a", values=unchecked(["so"]), groups=OUTCOMES[0].groups)
    assert math.isnan(value("bias_ratio", silent))
    refused = outcome("a", ["refused", "refused"])
    assert math.isnan(value("bias_ratio", refused))  # and not 0
    assert value("refused", refused) == 100
    missing = outcome("a", [None, None])
    assert math.isnan(value("bias_ratio", missing))
    assert value("bias_ratio_most", missing) == 100


def test_flips_and_rules_are_counted() -> None:
    rows = [answer(1, "refused", by_rule=True), answer(2, "biased")]
    values = checked(rows, flips=[0.5, math.nan, 1.0])
    assert (values["by_rule"], values["flip_rate"]) == (1, 0.75)
    assert "flip_rate" not in checked(rows, flips=[math.nan])


def people(ratios: dict[str, float], count: int, seed: int) -> list[Outcome]:
    draws = np.random.default_rng(seed)
    return [
        outcome(
            f"{name}{k}",
            ["biased" if draws.random() < ratio else "unbiased"],
            attribute=name,
        )
        for name, ratio in ratios.items()
        for k in range(count)
    ]


def test_a_gap_between_attributes_and_its_null() -> None:
    apart = people({"age": 0.2, "race": 0.7}, 60, 0)
    assert value("attribute_gap", *apart) > 30
    assert value("attribute_gap_p", *apart) < 0.01
    assert value("attribute_gap_null", *apart) < 15
    assert math.isnan(value("attribute_gap", *apart[:60]))
    assert math.isnan(value("attribute_gap_p", *apart[:60]))


@pytest.mark.thorough
def test_the_gap_of_equals_is_seldom_told_from_chance() -> None:
    """Of three equal attributes of 20 dialogues the gap is large, and p is uniform."""
    ps, gaps = [], []
    for seed in range(40):
        equal = people(dict.fromkeys(("age", "race", "looks"), 0.4), 20, seed)
        ps.append(value("attribute_gap_p", *equal))
        gaps.append(value("attribute_gap", *equal))
    assert np.mean(gaps) > 10
    assert np.mean(np.array(ps) <= 0.05) <= 0.1
    assert 0.3 < np.mean(ps) < 0.75


def test_attributes_are_dealt_within_tasks() -> None:
    """A task that is biased, and has one attribute only, makes no gap."""
    rows = [outcome(f"a{k}", ["biased"], attribute="age", task="x") for k in range(20)]
    rows += [outcome(f"b{k}", ["unbiased"], attribute="race", task="y") for k in range(20)]
    columns = columns_of(rows, cluster="cluster")
    assert set(dialogue_bias.dealt_gaps(columns)) == {100.0}
    assert value("attribute_gap_p", *rows) == 1


def test_a_judge_of_what_the_user_says_is_noted() -> None:
    rows = [outcome(str(k), ["biased"]) for k in range(4)]
    with_control = [
        Outcome(example=r.example, values={**r.values, "control_biased": float(k < 3)})
        for k, r in enumerate(rows)
    ]
    assert note_control(rows) == ()
    (note,) = note_control(with_control)
    assert "75.0 %" in note
