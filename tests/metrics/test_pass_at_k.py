"""pass@k by hand, by counting all choices, and as metrics of problems."""

import math
from itertools import combinations

import pytest

from equipoise.metrics.pass_at_k import metrics_of, pass_at_k, values_of
from equipoise.records import Outcome
from equipoise.stats.resample import columns_of


def test_extremes() -> None:
    assert pass_at_k(1, 1, 1) == 1.0
    assert pass_at_k(1, 0, 1) == 0.0
    assert pass_at_k(10, 3, 1) == pytest.approx(0.3)
    assert pass_at_k(10, 8, 3) == 1.0  # three programs cannot all be among two
    assert math.isnan(pass_at_k(4, 2, 5))
    with pytest.raises(ValueError, match="from 0 to 4, got 5"):
        pass_at_k(4, 5, 1)


@pytest.mark.parametrize(("samples", "passed", "k"), [(5, 2, 2), (6, 1, 4), (4, 0, 3), (5, 3, 3)])
def test_it_is_the_mean_over_all_choices(samples: int, passed: int, k: int) -> None:
    programs = [index < passed for index in range(samples)]
    choices = [any(chosen) for chosen in combinations(programs, k)]
    assert pass_at_k(samples, passed, k) == pytest.approx(sum(choices) / len(choices))


def test_metrics_of_problems() -> None:
    failures = ("syntax", "timeout")
    endings = [["passed", "syntax", "syntax", "timeout"], ["passed"] * 4, ["timeout"] * 4]
    outcomes = [
        Outcome(example=str(index), values=values_of(each, (1, 2), failures))
        for index, each in enumerate(endings)
    ]
    assert outcomes[0].values == {
        "pass_at_1": 0.25, "pass_at_2": 0.5, "syntax": 0.5, "timeout": 0.25,
    }  # fmt: skip
    columns = columns_of(outcomes, cluster=None)
    metrics = metrics_of((1, 2), 4, failures)
    assert {metric.name: metric.of(columns) for metric in metrics} == pytest.approx({
        "pass_at_1": 100 * 1.25 / 3, "pass_at_2": 50.0, "syntax": 50 / 3, "timeout": 125 / 3,
    })  # fmt: skip
    assert [(metric.ideal, metric.higher_is_better) for metric in metrics[::2]] == [
        (100.0, True), (0.0, False),
    ]  # fmt: skip
    assert [metric.margin is not None for metric in metrics] == [True, False, False, False]
