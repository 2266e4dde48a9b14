"""What exchanging a group changes, beside what rewording does."""

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from equipoise.metrics.disparity import Compared
from equipoise.metrics.rewording import read_rewording, rewording_metrics
from equipoise.metrics.scale import Scale
from equipoise.records import Estimate, Outcome
from equipoise.stats.estimates import estimate_metrics
from equipoise.stats.resample import columns_of

COMPARED = Compared(groups="group", within="axis", paired=True)


POINTS = Scale(name="x", unit="points", meaning="many", low=0, high=10)


class Estimated:
    metrics = tuple(rewording_metrics([POINTS], COMPARED))
    by = ()
    related = ()
    crossed: dict[str, str] = {}  # noqa: RUF012


def measured(value: Callable[..., float], *, wordings: int = 2) -> dict[str, Estimate]:
    """Of 12 scenes, three groups and two people each."""
    outcomes = []
    for scene, wording, group, person in product(range(12), range(wordings), "abc", range(2)):
        groups = {"scene": str(scene), "wording": str(wording), "group": group, "axis": "letters"}
        outcomes.append(
            Outcome(
                example=f"{scene} {wording} {group} {person}",
                values={"x": value(scene, wording, group)},
                groups=groups,
            )
        )
    estimates = estimate_metrics(
        Estimated(), outcomes, cluster="scene", family=False, draws=500, seed=0
    )
    return {estimate.metric: estimate for estimate in estimates}


def test_differences_are_means_over_pairs_within_a_scene() -> None:
    values = measured(lambda scene, wording, group: scene + 2.0 * wording + 3.0 * (group == "c"))
    assert values["x_swap"].value == pytest.approx(((0 + 9 + 9) / 3) ** 0.5)
    assert values["x_reword"].value == pytest.approx(2)
    assert values["x_swap_over_reword"].value == pytest.approx(6**0.5 - 2)


@pytest.mark.parametrize("seed", range(3))
def test_a_group_that_matters_is_above_the_floor_and_noise_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = measured(lambda *_: rng.normal(5, 1))
    planted = measured(lambda _scene, _wording, group: rng.normal(5 + 3 * (group == "b"), 1))
    worded = measured(lambda _scene, wording, _group: rng.normal(5 + 3 * wording, 1))
    assert planted["x_swap_over_reword"].low > 0
    assert not noise["x_swap_over_reword"].low > 0
    assert worded["x_swap_over_reword"].high < 0
    (said,) = read_rewording([*planted.values()])
    assert "which is less" in said
    (said,) = read_rewording([*noise.values()])
    assert said.endswith("no more than any change of the prompt may do")


@pytest.mark.thorough
def test_noise_alone_is_seldom_taken_for_a_group() -> None:
    rng = np.random.default_rng(7)
    above = [measured(lambda *_: rng.normal())["x_swap_over_reword"].low > 0 for _ in range(60)]
    assert sum(above) <= 6  # 2.5 % are expected; of 60 more than 6 have a probability below 0.1 %


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("texts", "deviations"),
    [({"letters": (1, 8)}, {"letters": 1.0}),
     ({"two": (2, 2), "seven": (2,) * 7}, {"two": 1.0, "seven": 2.0})],
)  # fmt: skip
def test_noise_is_as_large_of_both_whatever_groups_and_domains_hold(
    texts: dict[str, tuple[int, ...]], deviations: dict[str, float]
) -> None:
    rng = np.random.default_rng(1)
    outcomes = [
        Outcome(
            example="", values={"x": rng.normal(scale=deviations[axis])},
            groups={"scene": str(scene), "wording": wording, "group": f"{axis} {k}", "axis": axis},
        )
        for axis, sizes in texts.items()
        for k, size in enumerate(sizes)
        for scene, wording, _ in product(range(1500), "12", range(size))
    ]  # fmt: skip
    table = columns_of(outcomes, cluster="scene")
    swap, reword = (metric.of(table) for metric in Estimated.metrics[:2])
    assert swap == pytest.approx(reword, rel=0.04)  # of unweighed absolute differences 1.11


def test_without_a_second_wording_there_is_no_floor() -> None:
    values = measured(lambda scene, _wording, group: scene + float(group == "a"), wordings=1)
    assert values["x_swap"].value == pytest.approx((2 / 3) ** 0.5)
    assert math.isnan(values["x_reword"].value)
    assert values["x_reword"].reason
    (said,) = read_rewording([*values.values()])
    assert "no paraphrase floor" in said
