"""Worlds of many targets: words of their own, parts that share none, leans that carry over."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.data.partition import SHARES, Share
from equipoise.errors import RecipeError
from equipoise.planted.batches import train_tokenizer
from equipoise.planted.contrasts import LEAST_TARGETS, MOST_TARGETS, PAIR_ROWS, target_words
from equipoise.planted.corpus import quotas
from equipoise.planted.words import AXES
from equipoise.planted.world import World, find_world

PARTS = SHARES

worlds = st.builds(
    lambda strength, seed, half: find_world(f"strength={strength},seed={seed},targets={2 * half}"),
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
    st.integers(0, 5),
    st.integers(LEAST_TARGETS // 2, MOST_TARGETS // 2),
)


def targets_of(world: World, part: Share) -> set[str]:
    return {
        preference.contrast.groups["target"]
        for preference in world.preferences
        if preference.part == part
    }


@pytest.mark.thorough
@settings(max_examples=4, deadline=None)
@given(worlds)
def test_parts_share_no_target_and_have_every_axis(world: World) -> None:
    parts = [targets_of(world, part) for part in PARTS]
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(world.preferences) / 10
    for part in PARTS:
        axes = Counter(contrast.groups["axis"] for contrast in world.contrasts(part))
        assert set(axes) == set(AXES)
        assert len(set(axes.values())) == 1
    ids = [contrast.id for contrast in world.contrasts()]
    assert len(ids) == len(set(ids))


@settings(max_examples=4, deadline=None)
@given(worlds)
def test_no_share_is_certain_or_a_near_tie(world: World) -> None:
    for preference in world.preferences:
        assert 0 < preference.stereotype_rows < PAIR_ROWS
        assert abs(preference.stereotype_rows - PAIR_ROWS / 2) >= 2


@pytest.mark.parametrize("targets", [12, 14, 40])
@pytest.mark.parametrize("seed", [0, 3])
def test_every_part_has_ss_50_at_strength_0(targets: int, seed: int) -> None:
    world = find_world(f"strength=0,seed={seed},targets={targets}")
    for axis in AXES:
        assert {world.true_ss(axis, part=part) for part in PARTS} == {50.0}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_40_targets_by_hand(seed: int) -> None:
    world = find_world(f"default,seed={seed},targets=40")
    # shifts 0.21, -0.105, 0.1575, 0.105; effects -0.315, -0.245, ..., 0.315, and each +- 0.02:
    # of 20 sums 4 are below -0.21, 13 below 0.105, 5 below -0.1575, 7 below -0.105
    for axis, true in {"gender": 80, "profession": 35, "race": 75, "religion": 65}.items():
        assert world.true_ss(axis) == true
        assert [world.true_ss(axis, part=part) for part in PARTS] == [true] * 3
    assert [len(targets_of(world, part)) for part in PARTS] == [64, 32, 64]
    assert [len(world.contrasts(part)) for part in PARTS] == [640, 320, 640]
    frame = world.contrasts()[0].stereotype.replace(world.contrasts()[0].groups["target"], "X")
    assert frame.startswith("The X was ")


def test_targets_of_an_axis_share_their_stereotypes() -> None:
    world = find_world("targets=40")
    sentences = defaultdict(set)
    leans = defaultdict(list)
    for preference in world.preferences:
        contrast = preference.contrast
        target = contrast.groups["target"]
        axis, kind = contrast.groups["axis"], contrast.id.split(":", 2)[2]
        sentences[axis, kind].add(
            (contrast.stereotype.replace(target, "X"), contrast.antistereotype.replace(target, "X"))
        )
        leans[axis, kind].append(preference.stereotype_rows)
    assert len(sentences) == 40
    assert all(len(texts) == 1 for texts in sentences.values())
    # a target moves its items by little: the spread within a pair and frame is small
    within = np.mean([np.std(rows) for rows in leans.values()])
    assert within < 0.3 * np.std([np.mean(rows) for rows in leans.values()])
    assert {len(set(rows)) for rows in leans.values()} == {1, 2}


def test_seeds_draw_other_effects_and_other_parts() -> None:
    first, second = (find_world(f"default,seed={seed},targets=20") for seed in (0, 1))
    assert targets_of(first, "train") != targets_of(second, "train")
    assert {contrast.groups["target"] for contrast in first.contrasts()} == {
        contrast.groups["target"] for contrast in second.contrasts()
    }


def test_target_words_are_unique_and_not_in_the_corpus() -> None:
    words = [word for axis in AXES for word in target_words(axis, MOST_TARGETS)]
    assert len(words) == len(set(words)) == 4 * MOST_TARGETS
    assert all(word.isalpha() and word.islower() for word in words)
    others = {
        word.strip(".,").casefold() for text, *_ in quotas(find_world("default"))
        for word in text.split()
    }  # fmt: skip
    assert not others & set(words)


@pytest.mark.thorough
def test_every_target_is_one_token() -> None:
    world = find_world(f"targets={MOST_TARGETS}")
    tokenizer = train_tokenizer([text for text, *_ in quotas(world)])
    spaced = [f" {word}" for part in PARTS for word in targets_of(world, part)]
    assert {len(ids) for ids in tokenizer(spaced, add_special_tokens=False)["input_ids"]} == {1}


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("targets=8", "default"),
        ("targets=40", "targets=40"),
        ("default,targets=40", "targets=40"),
        ("targets=40,strength=0.75,seed=0", "targets=40"),
        ("planted:seed=1,targets=12", "strength=0.75,seed=1,targets=12"),
    ],
)
def test_names(name: str, canonical: str) -> None:
    world = find_world(name)
    assert world.name == canonical
    assert find_world(canonical) == world


@pytest.mark.parametrize("targets", ["10", "13", "82", "0", "-12", "12.0", "many", "１２"])
def test_wrong_numbers_of_targets_are_refused(targets: str) -> None:
    with pytest.raises(RecipeError, match=f"even number from 12 to 80, got '{targets}'"):
        find_world(f"targets={targets}")


def test_the_default_targets_are_all_in_the_test_part() -> None:
    world = find_world("default")
    assert world.contrasts("test") == world.contrasts()
    assert not world.contrasts("train")
    with pytest.raises(RecipeError, match="no contrasts of part 'dev'"):
        world.true_ss(part="dev")
