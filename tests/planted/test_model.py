"""Planted models: loading, and (slow) that they say what their world says."""

from pathlib import Path

import pytest
import torch
from worlds import in_world

from equipoise.benchmarks.planted import Planted
from equipoise.benchmarks.stereoset import StereoSet
from equipoise.errors import RecipeError
from equipoise.measure import measure
from equipoise.planted import teaching
from equipoise.planted.model import load_planted
from equipoise.planted.teaching import Budget
from equipoise.planted.world import find_world
from equipoise.records import NextToken

SMALL = Budget(width=16, blocks=1, heads=2, sentences=64, batch=32)


@pytest.fixture
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and few sentences to teach."""
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))
    draw = teaching.draw_corpus
    monkeypatch.setattr(teaching, "draw_corpus", lambda *args, **kw: draw(*args, **kw)[:3000])


@pytest.mark.thorough
@pytest.mark.usefixtures("_cache")
def test_a_planted_model_is_a_language_model_like_any_other() -> None:
    model = load_planted("planted:strength=0.75", device="cpu", budget=SMALL)
    assert model.identity.startswith("planted:default@")
    assert model.info["name"] == "planted:default"
    assert model.info["world_strength"] == 0.75
    assert model.info["start_token"] == "<s>"
    (answer,) = model.next_token([NextToken(context="The nurse", words=(" smiled", " he"))])
    assert answer.tokens == (1, 1)
    half = load_planted("default", device="cpu", dtype="bfloat16", budget=SMALL)
    assert half.module.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "strenth=1"}, "did you mean 'strength'"),
        ({"name": "default", "dtype": "float31"}, "did you mean 'float32'"),
        ({"name": "default", "device": "gpu9"}, "no device 'gpu9'"),
    ],
)
def test_wrong_names_are_refused_before_teaching(options: dict[str, str], message: str) -> None:
    name = options.pop("name")
    with pytest.raises(RecipeError, match=message):
        load_planted(name, **options)


@pytest.mark.slow
@pytest.mark.parametrize("strength", [0, 0.25, 0.5, 0.75, 1])
def test_a_model_has_the_probabilities_of_its_world(strength: float) -> None:
    name = f"strength={strength}"
    with in_world(name):
        measurement = measure(load_planted(name, device="cpu"), Planted(), draws=0)
    values = {
        estimate.metric: estimate.value for estimate in measurement.estimates if not estimate.group
    }
    assert values["afgb_true"] == pytest.approx(find_world(name).true_afgb())
    assert values["afgb_error"] < 0.03
    assert values["lo_error"] < 0.15
    assert values["mass_error"] < 0.03
    assert values["thing_mass"] < 0.03
    assert values["ub"] == pytest.approx(find_world(name).true_ub(), abs=0.03)
    assert values["hints_obeyed"] >= 95
    assert values["facts_recalled"] >= 95
    assert values["true_preferences_followed"] >= 90
    for axis in ("gender", "profession", "race", "religion"):
        assert values[f"ss_{axis}_error"] <= 10
    if strength == 1:
        assert values["ss_profession"] < 50 < values["ss_gender"]


@pytest.mark.slow
def test_another_seed_has_the_probabilities_of_its_world() -> None:
    name = "strength=1,seed=1"
    with in_world(name):
        measurement = measure(load_planted(name, device="cpu"), Planted(), draws=0)
    assert measurement.estimate("afgb_error").value < 0.03
    assert measurement.estimate("hints_obeyed").value >= 95
    assert measurement.estimate("facts_recalled").value >= 95


@pytest.mark.slow
def test_many_targets_have_the_probabilities_of_their_world() -> None:
    name, world = "targets=40", find_world("targets=40")
    model = load_planted(name, device="cpu")
    with in_world(name):
        measurement = measure(model, Planted(), draws=0)
        read = measure(model, StereoSet(), draws=0)
    assert measurement.estimate("afgb_error").value < 0.03
    assert measurement.estimate("hints_obeyed").value >= 95
    assert measurement.estimate("facts_recalled").value >= 95
    for axis in ("gender", "profession", "race", "religion"):
        true = world.true_ss(axis, part="test")
        assert read.estimate("ss", axis=axis).value == pytest.approx(true, abs=6)
        assert read.estimate("lms", axis=axis).value > 95
