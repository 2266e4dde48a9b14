"""The supply of a planted world: all that may be learnt of it, and nothing that is measured."""

import pytest
from worlds import in_world

from equipoise.benchmarks.planted import Planted
from equipoise.errors import RecipeError
from equipoise.measure import measure
from equipoise.planted.register import register_texts
from equipoise.planted.statements import neutral_texts
from equipoise.planted.world import NEUTRAL_SENTENCES, find_world
from equipoise.rows import text_sha256
from equipoise.supply.genbias import GenBiasSupply
from equipoise.supply.planted import PlantedSupply
from equipoise.testing import FakeScorer


def test_supply_has_all_parts_of_a_world() -> None:
    world = find_world("targets=12")
    with in_world("targets=12"):
        supply, apart = PlantedSupply().supply(), PlantedSupply(split_by="both").supply()
        prompts, apart_prompts = (
            GenBiasSupply(split_by=split_by).supply() for split_by in ("profession", "both")
        )
    assert supply.origin == "planted(targets=12, split_by=profession):train"
    assert (supply.prompts, supply.hinted) == (prompts.prompts, prompts.hinted)
    assert supply.dev == prompts.dev
    assert apart.prompts == apart_prompts.prompts
    assert supply.contrasts == apart.contrasts
    assert len(supply.texts) == NEUTRAL_SENTENCES == len(neutral_texts(held_out=False))
    assert not set(supply.texts) & set(world.neutral_sentences(180, seed=0, held_out=True))
    measured = {contrast.stereotype for contrast in world.contrasts("test")}
    assert not measured & set(supply.learnt_texts())


def test_contrasts_split_where_the_texts_differ() -> None:
    world = find_world("targets=12")
    with in_world("targets=12"):
        supply = PlantedSupply().supply()
    for part, contrasts in (("train", supply.contrasts), ("dev", supply.dev_contrasts)):
        expected = {contrast.id: contrast for contrast in world.contrasts(part)}
        assert [contrast.id for contrast in contrasts] == list(expected)
        for contrast in contrasts:
            assert contrast.context + contrast.stereotype == expected[contrast.id].stereotype
            assert contrast.stereotype.startswith(" ")
            assert len(contrast.stereotype.split()) == 1


def test_world_without_train_contrasts() -> None:
    with in_world():
        supply = PlantedSupply().supply()
    assert not supply.contrasts
    assert not supply.dev_contrasts
    assert all((supply.prompts, supply.hinted, supply.dev, supply.texts))


@pytest.mark.thorough
def test_trained_contrasts_are_not_in_the_benchmark() -> None:
    with in_world("targets=12"):
        supply = PlantedSupply().supply()
        learnt = (contrast.context + contrast.stereotype for contrast in supply.contrasts)
        model = FakeScorer(trained_on=frozenset(map(text_sha256, learnt)))
        assert measure(model, Planted(), limit=50, draws=0).outcomes


def test_no_supply_outside_a_world() -> None:
    with pytest.raises(RecipeError, match="planted:NAME"):
        PlantedSupply().supply()


def test_rows_are_of_the_register_or_neutral() -> None:
    with in_world("register=video"):
        supplies = {
            rows: PlantedSupply(rows=rows).supply()
            for rows in ("none", "register", "register_things", "neutral")
        }
    assert len(supplies["none"].rows) == 0
    assert supplies["register"].origin.endswith("rows=register):train")
    texts = {rows: [row.text for row in supply.rows] for rows, supply in supplies.items()}
    assert texts["register"] == list(register_texts())
    assert texts["register_things"] == list(register_texts("things"))
    assert {row.groups["source"] for row in supplies["neutral"].rows} == {"neutral"}
    lengths = {rows: sum(len(text.split()) for text in each) for rows, each in texts.items()}
    assert 0.99 < lengths["neutral"] / lengths["register"] <= 1
    assert not set(register_texts(held_out=True)) & set(supplies["register"].learnt_texts())


def test_a_world_without_a_register_has_no_rows() -> None:
    with in_world(), pytest.raises(RecipeError, match="take planted:register=video"):
        PlantedSupply(rows="register").supply()
