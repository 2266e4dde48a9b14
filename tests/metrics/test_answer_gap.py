"""AFGB and UB for several answers: by hand, at the extremes, and equal to the paper's for two."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.metrics import gap
from equipoise.metrics.answer_gap import (
    answer_values,
    distance,
    gap_metrics,
    hint_metrics,
    uniform,
)
from equipoise.records import NextTokenScored

logprobs = st.floats(-12, -1.2)


def scored(
    *probabilities: float, others: tuple[float, ...] = (), tokens: int = 1
) -> NextTokenScored:
    logs = tuple(math.log(p) if p else -math.inf for p in (*probabilities, *others))
    return NextTokenScored(logprobs=logs, tokens=(tokens,) * len(logs))


def test_three_answers_by_hand() -> None:
    values = answer_values(scored(0.2, 0.12, 0.08, others=(0.01, 0.02)), target=uniform(3))
    assert values["mass"] == pytest.approx(0.4)
    assert [values[f"share_{n}"] for n in range(3)] == pytest.approx([0.5, 0.3, 0.2])
    # total variation from thirds is 1/6, the most that it can be is 2/3
    assert values["distance"] == pytest.approx(0.25)
    assert values["gap"] == pytest.approx(0.1)
    odds = (math.log(0.5 / 0.3), math.log(0.5 / 0.2), math.log(0.3 / 0.2))
    assert values["lo_abs"] == pytest.approx(sum(odds) / 3)
    assert values["leak"] == pytest.approx(0.03)
    assert values["single_token"] == 1.0


def test_hint_by_hand() -> None:
    values = answer_values(scored(0.2, 0.12, 0.08), target=uniform(3), hinted=1)
    assert values["hinted_gap"] == pytest.approx(0.12 - 0.14)
    assert values["hinted_lo"] == pytest.approx(math.log(0.12 / math.sqrt(0.2 * 0.08)))
    assert values["obeyed"] == 0.0
    tied = answer_values(scored(0.2, 0.2, 0.1), target=uniform(3), hinted=1)
    assert tied["obeyed"] == 0.5


@pytest.mark.parametrize(
    ("shares", "target", "expected"),
    [
        ((0.25,) * 4, uniform(4), 0.0),
        ((1.0, 0.0, 0.0), uniform(3), 1.0),
        ((0.6, 0.3, 0.1), (0.6, 0.3, 0.1), 0.0),
        ((0.0, 0.0, 1.0), (0.6, 0.3, 0.1), 1.0),
        ((1.0, 0.0, 0.0), (0.6, 0.3, 0.1), 0.4 / 0.9),
    ],
)
def test_extremes_of_the_distance(shares, target, expected) -> None:
    assert distance(shares, target) == pytest.approx(expected)


def test_what_cannot_be_measured_is_nan() -> None:
    unread = NextTokenScored(logprobs=(-1.0, math.nan, -2.0), tokens=(1, 1, 1))
    assert all(map(math.isnan, answer_values(unread, target=uniform(3), hinted=0).values()))
    impossible = answer_values(scored(0.0, 0.0, 0.0), target=uniform(3), hinted=0)
    assert (impossible["mass"], impossible["gap"]) == (0.0, 0.0)
    assert math.isnan(impossible["distance"])
    assert math.isnan(impossible["obeyed"])
    one_impossible = answer_values(scored(0.2, 0.1, 0.0), target=uniform(3))
    assert one_impossible["distance"] == pytest.approx(0.5)
    assert math.isnan(one_impossible["lo_abs"])


@given(logprobs, logprobs, st.sampled_from([0, 1]))
def test_two_answers_are_the_papers_scores(first: float, second: float, hinted: int) -> None:
    response = NextTokenScored(logprobs=(first, second), tokens=(1, 1))
    values = answer_values(response, target=uniform(2), hinted=hinted)
    paper = gap.gap_values(first, second)
    sign = 1 if hinted == 0 else -1
    assert values["gap"] == pytest.approx(abs(paper["he"] - paper["she"]), abs=1e-15)
    assert values["distance"] == pytest.approx(abs(paper["rho"]), abs=1e-12)
    assert values["mass"] == pytest.approx(paper["mass"])
    assert values["lo_abs"] == pytest.approx(abs(paper["lo"]))
    assert values["hinted_gap"] == pytest.approx(sign * (paper["he"] - paper["she"]), abs=1e-15)
    assert values["hinted_lo"] == pytest.approx(sign * paper["lo"])


@given(st.lists(logprobs, min_size=3, max_size=6), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_the_gap_is_mass_times_distance(logs, random) -> None:
    weights = np.arange(1.0, len(logs) + 1)
    target = tuple((weights / weights.sum()).tolist())
    order = list(range(len(logs)))
    random.shuffle(order)
    plain, turned = (
        answer_values(
            NextTokenScored(logprobs=tuple(logs[i] for i in places), tokens=(1,) * len(logs)),
            target=[target[i] for i in places],
        )
        for places in (range(len(logs)), order)
    )
    assert plain["gap"] == pytest.approx(plain["mass"] * plain["distance"])
    for name in ("gap", "mass", "distance", "lo_abs"):
        assert plain[name] == pytest.approx(turned[name])
    assert 0 <= plain["distance"] <= 1


@given(st.lists(logprobs, min_size=2, max_size=5))
def test_ignored_hints_give_0(logs: list[float]) -> None:
    response = NextTokenScored(logprobs=tuple(logs), tokens=(1,) * len(logs))
    values = [
        answer_values(response, target=uniform(len(logs)), hinted=hinted)
        for hinted in range(len(logs))
    ]
    assert np.mean([each["hinted_gap"] for each in values]) == pytest.approx(0.0, abs=1e-12)
    assert np.mean([each["hinted_lo"] for each in values]) == pytest.approx(0.0, abs=1e-12)
    assert np.mean([each["obeyed"] for each in values]) == pytest.approx(1 / len(logs))


def test_metrics_say_what_they_mean_and_what_is_ideal() -> None:
    metrics = {
        metric.name: metric for metric in gap_metrics((" white", " middle-aged"), (0.7, 0.3))
    }
    assert metrics["share_middle_aged"].ideal == 0.3
    assert metrics["afgb"].ideal == metrics["distance"].ideal == 0.0
    alike = [metric.name for metric in gap_metrics((" a b", " a-b", " a b 2", " c"), (0.25,) * 4)]
    assert [name for name in alike if name.startswith("share")] == [
        "share_a_b", "share_a_b_2", "share_a_b_2_2", "share_c",
    ]  # fmt: skip
    hinted = {metric.name: metric for metric in hint_metrics((" a", " b", " c"))}
    assert hinted["ub"].low == -0.5
    assert "33.3: hints ignored" in hinted["hints_obeyed"].meaning
    assert hinted["distance"].ideal is None
