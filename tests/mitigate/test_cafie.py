"""CAFIE as a mitigation: lists, options, and what a result says of coverage."""

import json
from pathlib import Path
from typing import Any

import pytest

from equipoise.benchmarks.base import Benchmark
from equipoise.decoding.counterfactual_rule import Counterfactual
from equipoise.errors import RecipeError
from equipoise.measure import measure
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.cafie import Cafie
from equipoise.plugins import build, name_of, options_of
from equipoise.records import Supply
from equipoise.testing import tiny_model

NOTHING = Supply(origin="none")
OWN = {"rank": {"high": [["captain", "captains"]], "low": [["sailor", "sailors"]]}}


def test_defaults_are_the_released_ones_with_our_lists() -> None:
    found = Cafie().fit(tiny_model(), NOTHING, seed=4).decoding_rule
    assert isinstance(found, Counterfactual)
    mixing = found.mixing
    assert (mixing.mode, mixing.alpha, mixing.sharpness) == ("reference", 0.99, 1000)
    assert (found.most, found.seed, found.rows) == (5, 4, 6)


@pytest.mark.parametrize(
    ("options", "cost"),
    [({}, 6), ({"axes": ("gender",)}, 2), ({"counterfactuals": None}, 2 * 6 * 6 * 47)],
)
def test_the_cost_on_record_is_that_of_a_text_that_names_every_axis(
    options: dict[str, Any], cost: int
) -> None:
    model = tiny_model()
    edit = Cafie(**options).fit(model, NOTHING, seed=0)
    assert edit.info.report["cost_factor"] == cost
    with edit.attached(model) as edited:
        assert edited.info["decoding_rule"]["cost_factor"] == cost  # type: ignore[index,call-overload]


def test_own_lists_and_axes(tmp_path: Path) -> None:
    method = build(Mitigation, "cafie", {"lists": OWN, "mode": "mean"})  # type: ignore[dict-item]
    found = method.fit(tiny_model(), NOTHING, seed=0).decoding_rule  # type: ignore[attr-defined]
    assert found.covers("The captain left", whole=True)
    assert build(Mitigation, name_of(method), options_of(method)) == method
    file = tmp_path / "lists.json"
    file.write_text(json.dumps(OWN))
    read = build(Mitigation, "cafie", {"lists": str(file), "mode": "mean"})
    assert read.fit(tiny_model(), NOTHING, seed=0).decoding_rule == found  # type: ignore[attr-defined]
    alone = Cafie(axes=("gender",)).fit(tiny_model(), NOTHING, seed=0)
    assert alone.info.report["axes"] == ["gender"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"lists": {"rank": OWN["rank"] | {"low": [["captain", "x"]]}}},
            "must be listed once",
        ),
        ({"lists": {"rank": OWN["rank"] | {"low": [["", "x"]]}}}, "must not be empty"),
        ({"lists": {"rank": {"a": [["MAN"]], "b": [["man"]]}}}, "got 'MAN' in .* and 'man' in"),
        ({"axes": ["age"]}, "the axis 'age'"),
        ({"alpha": 1.0}, "alpha below 1"),
        ({"mode": "mean", "normalized": False}, "always normalized"),
        ({"mode": "median"}, "mode"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(Mitigation, "cafie", options)


def test_a_result_says_what_share_was_touched() -> None:
    model = tiny_model()
    benchmark: Any = build(Benchmark, "stereoset", {"world": "default"})
    assert "coverage" not in measure(model, benchmark, limit=8, draws=0).model_info
    with Cafie().fit(model, NOTHING, seed=0).attached(model) as edited:
        found = measure(edited, benchmark, limit=24, draws=0)
    shares = found.model_info["coverage"]
    assert isinstance(shares, dict)
    assert shares["axis=gender"] == 1.0
    assert shares["axis=religion"] == 0.0
    axes = [outcome.groups["axis"] for outcome in found.outcomes]
    assert shares["overall"] == pytest.approx(axes.count("gender") / len(axes))
