"""CAFIE as a mitigation: lists, options, and what an edit and a comparison record."""

import json
from pathlib import Path
from typing import Any

import pytest
from worlds import in_world

from equipoise.benchmarks.base import Benchmark
from equipoise.compare import compare
from equipoise.decoding.counterfactual_rule import Counterfactual
from equipoise.decoding.mixture import Mean, Reference
from equipoise.errors import RecipeError
from equipoise.group_words.word_lists import word_lists_use
from equipoise.measure import measure
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.cafie import Cafie
from equipoise.plugins import build, name_of, options_of
from equipoise.records import Supply
from equipoise.testing import tiny_model

NOTHING = Supply(origin="none")
OWN = {"axes": {"rank": {"high": ["captain", "captains"], "low": ["sailor", "sailors"]}}}


def test_defaults_are_the_released_ones_with_our_lists() -> None:
    edit = Cafie().fit(tiny_model(), NOTHING, seed=4)
    rule = edit.decoding_rule
    assert isinstance(rule, Counterfactual)
    assert rule.mixture == Reference(alpha=0.99, sharpness=1000)
    assert (rule.counterfactuals, rule.seed, rule.rows) == (5, 4, 6)
    assert edit.info.files == (word_lists_use(None),)


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


def test_user_file(tmp_path: Path) -> None:
    file = tmp_path / "lists.json"
    file.write_text(json.dumps(OWN))
    options: Any = {"lists": str(file), "axes": ["rank"], "mixture": "mean"}
    method = build(Mitigation, "cafie", options)
    assert isinstance(method, Cafie)
    assert method.mixture == Mean()
    assert build(Mitigation, name_of(method), options_of(method)) == method
    edit = method.fit(tiny_model(), NOTHING, seed=0)
    assert edit.info.report["axes"] == ["rank"]
    assert edit.info.files == (word_lists_use(str(file)),)
    assert method.files() == {str(file): word_lists_use(str(file)).sha256}


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"axes": ["age"]}, "'age'"),
        ({"axes": []}, "axes"),
        ({"lists": "none.json"}, r"none\.json"),
        ({"mixture": {"name": "reference", "alpha": 1.0}}, "alpha"),
        ({"mixture": {"name": "mean", "normalized": False}}, "normalized"),
        ({"mixture": {"name": "mean", "sharpness": 9.0}}, "sharpness"),
        ({"mixture": "median"}, "'median'"),
    ],
)
def test_bad_options(options: dict[str, Any], value: str) -> None:
    with pytest.raises(RecipeError, match=value):
        build(Mitigation, "cafie", options)


@pytest.mark.thorough
def test_comparison_counts_unchanged_items() -> None:
    """A planted world's countries and faiths are invented; its gender items name kin."""
    model = tiny_model()
    benchmark: Any = build(Benchmark, "stereoset")
    with in_world(), Cafie().fit(model, NOTHING, seed=0).attached(model) as edited:
        plain = measure(model, benchmark, limit=24, draws=0)
        fair = measure(edited, benchmark, limit=24, draws=0)
    (note,) = [note for note in compare(plain, fair, draws=20).notes if "1e-05" in note]
    axes = [outcome.groups["axis"] for outcome in plain.outcomes]
    gender = axes.count("gender")
    assert note.startswith(f"{len(axes) - gender} of {len(axes)} items")
    assert f"axis=gender: 0 of {gender}" in note
    religion = axes.count("religion")
    assert f"axis=religion: {religion} of {religion}" in note
