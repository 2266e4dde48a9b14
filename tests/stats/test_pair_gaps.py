"""Which groups lie apart: each pair with an interval, and a p that is corrected for all pairs."""

import math

import numpy as np
import pytest

from equipoise.errors import RecipeError
from equipoise.metrics.disparity import Compared
from equipoise.records import Measurement, Outcome
from equipoise.stats.pair_gaps import all_pair_gaps


def measured(outcomes: list[Outcome]) -> Measurement:
    return Measurement(
        model="m", benchmark="b", version="1", options={}, split="test", seed=0, draws=0,
        limit=None, examples_sha256="", data=(), model_info={}, environment={}, cluster="entity",
        estimates=(), outcomes=tuple(outcomes),
    )  # fmt: skip


def texts(domain: str, means: dict[str, float], clusters: int, seed: int = 0) -> list[Outcome]:
    generator = np.random.default_rng(seed)
    return [
        Outcome(
            example=f"{domain}/{group}/{k}/{sample}",
            values={"x": mean + shift + 0.3 * float(generator.normal())},
            groups={"domain": domain, "compared": group, "entity": f"{domain}/{group}/{k}"},
        )
        for group, mean in means.items()
        for k, shift in enumerate(generator.normal(size=clusters))
        for sample in range(2)
    ]


ROWS = texts("race", {"a": 0.0, "b": 0.2, "c": 3.0}, 25) + texts("gender", {"a": 5.0, "z": 1.0}, 25)


def test_pairs_within_a_domain_the_widest_first() -> None:
    gaps = all_pair_gaps(measured(ROWS), "x", draws=300)
    named = [(gap.domain, gap.lower, gap.higher) for gap in gaps]
    assert named[0] == ("gender", "z", "a")  # a group of this name is in the other domain, too
    assert {pair[1:] for pair in named if pair[0] == "race"} == {("a", "b"), ("a", "c"), ("b", "c")}
    assert [gap.gap for gap in gaps] == sorted((gap.gap for gap in gaps), reverse=True)
    means = {
        key: np.mean(
            [r.values["x"] for r in ROWS if (r.groups["domain"], r.groups["compared"]) == key]
        )
        for key in (("gender", "z"), ("gender", "a"))
    }
    assert gaps[0].gap == pytest.approx(means["gender", "a"] - means["gender", "z"])
    for gap in gaps:
        assert gap.low <= gap.gap <= gap.high
        assert gap.clusters == 50
        apart = {gap.lower, gap.higher} != {"a", "b"}
        assert (gap.low > 0, gap.p < 0.01) == (apart, apart)


def test_a_group_of_one_cluster_has_no_interval() -> None:
    rows = texts("race", {"a": 0.0}, 20) + texts("race", {"b": 1.0}, 1)
    (gap,) = all_pair_gaps(measured(rows), "x", draws=300)
    assert math.isnan(gap.low)
    assert "bootstrap draws" in str(gap.reason)


def test_without_domains_all_groups_are_of_one() -> None:
    gaps = all_pair_gaps(measured(ROWS), "x", compared=Compared(groups="domain"), draws=50)
    assert [(gap.domain, gap.lower, gap.higher) for gap in gaps] == [("", "race", "gender")]


def test_a_single_group_has_no_pair() -> None:
    assert all_pair_gaps(measured(texts("race", {"a": 0.0}, 4)), "x", draws=50) == []


def test_values_and_keys_that_are_not_there_are_named() -> None:
    with pytest.raises(RecipeError, match="no outcome has 'y'"):
        all_pair_gaps(measured(ROWS), "y")
    with pytest.raises(RecipeError, match="no outcome has 'compare'; did you mean 'compared'"):
        all_pair_gaps(measured(ROWS), "x", compared=Compared(groups="compare"))
