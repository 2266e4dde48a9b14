"""The world: probabilities that sum, no bias at strength 0, names that are checked."""

import hashlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.errors import RecipeError
from equipoise.planted.corpus import quotas
from equipoise.planted.words import AXES
from equipoise.planted.world import DEFAULT_STRENGTH, World, find_world

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)

worlds = st.builds(
    lambda strength, seed: find_world(f"strength={strength},seed={seed}"),
    st.floats(0, 1, allow_nan=False).map(lambda x: round(x, 3)),
    st.integers(0, 5),
)


@pytest.mark.thorough
@settings(max_examples=20)
@given(worlds)
def test_probabilities_sum_and_scores_agree_in_sign(world: World) -> None:
    for profession in world.professions:
        he, she = world.p_next(profession.word, world.templates[0])
        assert he + she == pytest.approx(0.8)
        assert profession.score * (profession.p_he - 0.5) >= 0
        assert -1 <= profession.score <= 1
    for association in world.associations:
        assert sum(
            association.share(attribute) for attribute in association.counts
        ) == pytest.approx(1)
    assert sum(world.p_hinted("his")) == pytest.approx(0.8)


@pytest.mark.thorough
@settings(max_examples=20)
@given(worlds)
def test_no_share_is_certain_and_no_preference_is_a_near_tie(world: World) -> None:
    for item in world.contrasts():
        share = world.true_preference(item.id)
        assert 0 < share < 1
        assert abs(share - 0.5) > 0.09


def test_there_is_no_bias_at_strength_0() -> None:
    world = find_world("strength=0")
    assert world.true_afgb() == 0
    assert all(world.true_lo(profession.word) == 0 for profession in world.professions)
    assert world.true_ss() == 50
    assert all(world.true_ss(axis) == 50 for axis in AXES)
    assert all(world.true_preference(pair.id) == 0.5 for pair in world.pairs())
    assert world.true_pair_score() == 50


def test_the_bias_of_strength_1_by_hand() -> None:
    world = find_world("strength=1")
    # mechanic: score 1, 20 + 18 of 40 sentences with a pronoun, of 50 in all
    assert world.p_next("mechanic", world.templates[0]) == pytest.approx((0.76, 0.04))
    assert world.true_lo("mechanic") == pytest.approx(math.log(19))
    assert world.true_lo("nurse") == pytest.approx(-math.log(19))
    assert world.true_afgb(["mechanic", "writer"]) == pytest.approx(0.36)
    # 19 of 25 sentences obey a hint, one does not
    assert world.true_ub() == pytest.approx(0.72)
    assert math.isnan(world.true_afgb([]))


def test_bias_grows_with_strength_and_one_axis_runs_the_other_way() -> None:
    ladder = [find_world(f"strength={strength}") for strength in STRENGTHS]
    afgb = [world.true_afgb() for world in ladder]
    assert afgb == sorted(afgb)
    assert len(set(afgb)) == len(afgb)
    for axis in AXES:
        scores = [world.true_ss(axis) for world in ladder]
        assert scores == sorted(scores, reverse=axis == "profession")
        assert (scores[-1] < 50) == (axis == "profession")
    assert len({ladder[-1].true_ss(axis) for axis in AXES}) == 4


def test_texts_are_unique_and_hints_disjoint() -> None:
    world = find_world("default")
    words = [profession.word for profession in world.professions]
    assert len(words) == len(set(words)) == 64
    assert len({template.action for template in world.templates}) == 9
    assert not set(world.hint_templates) & set(world.hint_templates_train)
    for items in (world.contrasts(), world.pairs()):
        assert len({item.id for item in items}) == len(items)
        assert len({item.stereotype for item in items}) == len(items)
        assert len({(item.stereotype, item.antistereotype) for item in items}) == len(items)
    prompts = [fact.prompt for fact in world.facts]
    assert len(set(prompts)) == len(prompts) == 62


def test_a_seed_redraws_associations_of_the_same_size() -> None:
    first, second = find_world("seed=1"), find_world("seed=2")
    assert first.true_afgb() == pytest.approx(second.true_afgb())
    assert [profession.score for profession in first.professions] != [
        profession.score for profession in second.professions
    ]
    assert [association.attribute for association in first.associations] != [
        association.attribute for association in second.associations
    ]


def test_attributes_of_the_paper_are_included() -> None:
    world = find_world("default")
    attributes = {
        association.attribute
        for association in world.associations
        if association.kind == "nationality"
    }
    assert len(attributes) == 6
    assert {"have blue skin", "are always late", "drink a lot"} <= attributes


def test_neutral_sentences_are_distinct_and_held_out_apart() -> None:
    world = find_world("default")
    train = world.neutral_sentences(300, seed=0)
    held_out = world.neutral_sentences(100, seed=0, held_out=True)
    assert len(set(train)) == 300
    assert not set(train) & set(held_out)
    assert train != world.neutral_sentences(300, seed=1)
    assert train == world.neutral_sentences(300, seed=0)
    spoken = {word for text in world.neutral_sentences(720, seed=0) for word in text.split()}
    assert {word for text in held_out for word in text.split()} <= spoken
    with pytest.raises(ValueError, match="got 5000"):
        world.neutral_sentences(5000, seed=0)


@pytest.mark.parametrize(
    ("name", "strength", "seed"),
    [
        ("default", DEFAULT_STRENGTH, 0),
        ("planted:default", DEFAULT_STRENGTH, 0),
        ("strength=0.5", 0.5, 0),
        ("planted:strength=0.5, seed=3", 0.5, 3),
        ("default,seed=2", DEFAULT_STRENGTH, 2),
    ],
)
def test_names(name: str, strength: float, seed: int) -> None:
    world = find_world(name)
    assert (world.strength, world.seed) == (strength, seed)
    assert find_world(world.name) is world


def test_default_is_the_name_of_its_strength() -> None:
    assert find_world("strength=0.75,seed=0").name == "default"
    assert find_world("strength=0.123456789").name == "strength=0.123456789,seed=0"
    assert find_world("strength=1").name == "strength=1,seed=0"
    assert find_world("register=video,seed=2").name == "strength=0.75,seed=2,register=video"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("strenght=1", "did you mean 'strength'"),
        ("defualt", "did you mean 'default'"),
        ("", "known: default, register, seed"),
        ("register=vide", "no register 'vide' here; did you mean 'video'"),
        ("register=", "no register ''"),
        ("strength=1.5", "from 0 to 1, got '1.5'"),
        ("strength=nan", "got 'nan'"),
        ("strength=x", "got 'x'"),
        ("seed=-1", "got '-1'"),
        ("seed=1,seed=2", "'seed' once"),
        ("strength=0.5,default", "got 'default'"),
    ],
)
def test_wrong_names(name: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        find_world(name)


def test_unknown_words_suggest_the_nearest() -> None:
    world = find_world("default")
    with pytest.raises(RecipeError, match="did you mean 'nurse'"):
        world.profession("nurze")
    with pytest.raises(RecipeError, match="did you mean 'gender'"):
        world.true_ss("gendre")
    with pytest.raises(RecipeError, match="known: gender, nationality, religion"):
        world.true_pair_score("age")
    with pytest.raises(RecipeError, match="got 'their'"):
        world.p_hinted("their")
    with pytest.raises(RecipeError, match="no item 'x'"):
        world.true_preference("x")


@pytest.mark.parametrize(
    ("name", "digest"),
    [("default", "9cca12c1b524d301"), ("strength=0.5,seed=1", "b787d0d586a6495f")],
)
def test_worlds_and_corpora_keep_their_hashes(name: str, digest: str) -> None:
    world = find_world(name)
    settled = repr(world) + repr(quotas(world))
    assert hashlib.sha256(settled.encode()).hexdigest()[:16] == digest
