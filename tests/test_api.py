"""The verbs in Python, by their public names."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
from worlds import in_world

import equipoise as eq
from equipoise.api import build_supply, drawn, folder_for, usual_supply
from equipoise.benchmarks.genbias import GenBias
from equipoise.data.sources import reading_from
from equipoise.errors import RecipeError
from equipoise.locate.block_influence import BlockInfluence
from equipoise.mitigate.bias_unlearn import BiasUnlearn
from equipoise.mitigate.finetune import Finetune
from equipoise.planted.folder import folder_world, world_folder
from equipoise.supply.genbias import GenBiasSupply
from equipoise.testing import FakeScorer, tiny_model, tiny_supply

BENCHMARK = GenBias()
WORLD = "planted:default"


@pytest.mark.thorough
def test_the_five_lines_of_the_readme() -> None:
    model = tiny_model("gpt2")
    before = eq.measure(model, BENCHMARK, limit=40, draws=20, data=WORLD)
    edit = eq.mitigate(model, "lftf", supply=tiny_supply())
    with edit.attached(model) as fair:
        after = eq.measure(fair, BENCHMARK, limit=40, draws=20, data=WORLD)
    result = eq.compare(before, after, draws=50)
    assert result.change("afgb").n == 40
    assert result.after.model.startswith("tiny-gpt2@0+lftf:")
    again = eq.measure(model, BENCHMARK, limit=40, draws=20, data=WORLD)
    assert again.estimates == before.estimates


@pytest.mark.thorough
def test_locate_ranks_every_block() -> None:
    ranking = eq.locate(tiny_model("llama", blocks=3), data=WORLD)
    assert sorted(ranking.order) == [0, 1, 2]


@pytest.mark.thorough
def test_stability_repeats_with_other_prompts() -> None:
    model = tiny_model("llama", blocks=3)
    stability = eq.stability(model, "gender_contrast", data=WORLD, seeds=(0, 1), sample=5)
    assert (stability.seeds, stability.sample) == ((0, 1), 5)
    assert [ranking.prompts for ranking in stability.rankings] == [5, 5]
    assert stability.rankings[0].scores != stability.rankings[1].scores
    assert -1 <= stability.spearman_low <= stability.spearman <= 1
    assert sum(stability.first.values()) == 2
    again = eq.stability(model, "gender_contrast", data=WORLD, seeds=(1,), sample=5)
    assert again.rankings == stability.rankings[1:]
    assert again.reason == "a rank correlation needs at least 2 rankings, there is 1"


@pytest.mark.thorough
def test_sample_of_all_prompts_leaves_only_the_locator_s_randomness() -> None:
    model, supply = tiny_model("llama", blocks=4), tiny_supply()
    ours = eq.stability(model, BlockInfluence(draws=5), supply=supply, seeds=(3, 4), sample=99)
    assert (ours.sample, ours.spearman) == (len(supply.prompts), 1.0)
    assert ours.rankings[0].scores == ours.rankings[1].scores
    note = "all 32 prompts: seeds differ in nothing but the locator's own chance"
    assert [ranking.notes for ranking in ours.rankings] == [(note,), (note,)]
    lots = eq.stability(model, "random_block", supply=supply, sample=32)
    assert lots.spearman < 0.9
    assert all(note in ranking.notes for ranking in lots.rankings)


def test_stability_needs_different_seeds_and_a_sample() -> None:
    with pytest.raises(RecipeError, match=r"seeds must be all different, got \[1, 1\]"):
        eq.stability(tiny_model(), data=WORLD, seeds=(1, 1))
    with pytest.raises(RecipeError, match=r"seeds must be all different, got \[\]"):
        eq.stability(tiny_model(), data=WORLD, seeds=())
    with pytest.raises(RecipeError, match="sample must be at least 1 prompt, got 0"):
        eq.stability(tiny_model(), data=WORLD, sample=0)


def test_prompts_are_drawn_once_each_in_their_own_order() -> None:
    prompts = tiny_supply().prompts
    places = [prompts.index(item) for item in drawn(prompts, 10, seed=2)]
    assert places == sorted(set(places))
    assert len(places) == 10
    assert drawn(prompts, 10, seed=2) != drawn(prompts, 10, seed=3)
    assert drawn(prompts, 32, seed=2) == drawn(prompts, 33, seed=2) == prompts


def test_functions_are_not_shadowed_by_modules_of_the_same_name() -> None:
    for file in ("measure", "compare", "locate.base", "mitigate.base", "predictions"):
        importlib.import_module(f"equipoise.{file}")
    assert [name for name in eq.__all__ if not callable(getattr(eq, name))] == []
    assert sorted(eq.__all__) == dir(eq)


def test_importing_the_package_is_light() -> None:
    code = (
        "import equipoise, sys\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        _ = eq.mesure  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("identity", "data", "expected"),
    [
        ("planted:default@0f00baad", None, "default"),
        ("planted:strength=0.5,seed=1@0f00baad+lftf:12", None, "strength=0.5,seed=1"),
        ("planted:default@0f00baad", "planted:targets=40", "targets=40"),
        ("gpt2@607a30d", "planted:targets=12", "targets=12"),
    ],
)
def test_world_of_a_model(identity: str, data: str | None, expected: str) -> None:
    folder = folder_for(identity, data)
    assert folder == world_folder(expected)
    with reading_from(folder):
        assert folder_world().name == expected
        assert folder_for(identity, "planted:strength=1") is None  # the named folder stays


def test_other_models_use_the_default_data_folder() -> None:
    assert folder_for("gpt2@607a30d") is None
    with pytest.raises(RecipeError, match="got 'no/folder'"):
        folder_for("gpt2@607a30d", "no/folder")


@pytest.mark.thorough
def test_a_planted_model_is_measured_on_its_own_world() -> None:
    fake = FakeScorer(nats=lambda *_: float(np.log(0.1)), identity="planted:strength=0.5@0")
    with in_world("strength=0.5"):
        (use,) = BENCHMARK.files("test")
    for benchmark in ("genbias", BENCHMARK):
        assert eq.measure(fake, benchmark, limit=10, draws=0).data == (use,)


def test_a_supply_comes_from_a_plug_in() -> None:
    with in_world():
        supply = build_supply("genbias")
        assert build_supply(GenBiasSupply()) == supply
    assert supply.prompts
    assert build_supply(supply) is supply
    with pytest.raises(RecipeError, match="supplier 'genhint' is not known"):
        build_supply("genhint")


def test_default_supply_of_a_model() -> None:
    assert usual_supply(BiasUnlearn, "planted:targets=40@0f") == "planted"
    assert usual_supply(BiasUnlearn, "gpt2@607a30d") == "stereoset"
    with in_world():
        assert usual_supply(BiasUnlearn, "gpt2@607a30d") == "planted"
        assert usual_supply(Finetune, "gpt2@607a30d") == "mix"
