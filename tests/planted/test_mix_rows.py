"""Sentences of a planted world that hold its biases and that nobody measures."""

import pytest

from equipoise.planted.mix_rows import neutral_statements, statements
from equipoise.planted.world import find_world


@pytest.mark.parametrize("name", ["default", "strength=0.5,seed=3", "targets=40"])
def test_nothing_measured_is_among_them(name: str) -> None:
    world = find_world(name)
    said = statements(world)
    texts = [text for each in said for text in (each.stereotype, each.antistereotype)]
    assert len(set(texts)) == len(texts) > 2000
    measured = {
        text
        for contrast in (*world.contrasts(), *world.pairs())
        for text in (contrast.stereotype, contrast.antistereotype)
    }
    assert not measured & set(texts)
    assert not measured & {text for _, text in neutral_statements(world)}
    held_out = set(world.neutral_sentences(180, seed=0, held_out=True))
    assert not held_out & {text for _, text in neutral_statements(world)}


def test_stereotypes_are_those_of_the_world() -> None:
    world = find_world("default")
    said = {each.id: each for each in statements(world)}
    contrast = next(item for item in world.contrasts() if item.id == "gender:aunt:gentle")
    attribute = contrast.stereotype.removesuffix(".").split()[-1]
    assert f" {attribute}" in said["gender:aunt:gentle:1"].stereotype
    assert "ready" in said["gender:aunt:gentle:1"].neutral[0]
    nurse = next(each for id, each in said.items() if id.startswith("profession:nurse:"))
    assert (" she " in nurse.stereotype, " he " in nurse.antistereotype) == (True, True)
    assert not any(id.startswith("profession:writer:") for id in said)  # leans to neither


def test_a_world_without_bias_has_none() -> None:
    assert statements(find_world("strength=0,seed=0")) == ()
