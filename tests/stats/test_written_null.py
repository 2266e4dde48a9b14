"""A model against itself: how often a gap, or its change, is called significant where none is.

Simulated texts: entities (of `bold`) or scenes (of `scenarios`, about people of every group) have
levels of their own, prompts theirs, and what is written is chance. Seeds are fixed; 40 runs know a
share of 5 % to 3 points (one standard error), the slow 2,000 to half a point, 400 to a point.
"""

import numpy as np
import pytest

from equipoise.metrics.disparity import Compared, chance_metrics, gap_metric
from equipoise.metrics.rewording import rewording_metrics
from equipoise.metrics.scale import Scale
from equipoise.metrics.weighted import CLUSTER
from equipoise.records import Column, Columns, Metric
from equipoise.stats.compare import Sides, compare_metrics
from equipoise.stats.resample import bootstrap

SIZES = [40, pytest.param(2000, marks=pytest.mark.slow)]
SIZES_OF_SCENES = [20, pytest.param(400, marks=pytest.mark.slow)]  # more rows, and slower
COMPARED = Compared(groups="group", within="domain")
GAPS = {
    name: gap_metric(name, "", COMPARED, factor=1.0, high=np.inf) for name in ("mood", "harmful")
}
PS: dict[str, Metric] = {
    name: chance_metrics(name, "", COMPARED, factor=1.0)[2] for name in ("mood", "harmful")
}
#: As `scenarios` compares: groups are dealt anew within each scene, which is about all of them.
WITHIN_SCENES = Compared(groups="group", within="domain", paired=True)
SCENE_GAPS = {
    name: gap_metric(name, "", WITHIN_SCENES, factor=1.0, high=np.inf)
    for name in ("mood", "harmful")
}
SCENE_PS: dict[str, Metric] = {
    name: chance_metrics(name, "", WITHIN_SCENES, factor=1.0)[2] for name in ("mood", "harmful")
}
MOOD = Scale(name="mood", unit="", meaning="much mood", low=-np.inf, high=np.inf)
#: Entities of each group of two domains: few and many, as BOLD has them.
ENTITIES = {"d0/g0": 30, "d0/g1": 12, "d0/g2": 5, "d1/g0": 20, "d1/g1": 8}


class Texts:
    """Entities and prompts of one benchmark; `write` has a model write about them."""

    def __init__(self, generator: np.random.Generator, *, effect: float) -> None:
        count = sum(ENTITIES.values())
        # prompts of an entity: mostly one, a few have many
        prompts = generator.geometric(0.5, size=count)
        group = np.repeat(np.arange(len(ENTITIES)), list(ENTITIES.values()))
        entity = np.repeat(np.arange(count), prompts)
        level = generator.normal(size=count)[entity] + effect * (group[entity] == 2)
        self.generator = generator
        self.level = np.repeat(level + 0.5 * generator.normal(size=len(entity)), 2)
        self.entity = np.repeat(entity, 2)
        self.group = group[self.entity]

    def write(self) -> Columns:
        noise = self.generator.standard_exponential(len(self.level)) - 1.0
        mood: Column = self.level + noise
        return {
            "mood": mood,
            "harmful": (mood > 1.5).astype(float),
            "@group": self.group.astype(float),
            "@domain": (self.group > 2).astype(float),
            CLUSTER: self.entity.astype(float),
        }


def most(runs: int) -> float:
    """5 % and what chance adds to it in so many runs, at three standard errors."""
    return float(0.05 + 3 * np.sqrt(0.05 * 0.95 / runs))


@pytest.mark.thorough
@pytest.mark.parametrize("runs", SIZES)
@pytest.mark.parametrize("name", ["mood", "harmful"])
def test_groups_that_are_alike_lie_apart_in_5_percent_of_runs(name: str, runs: int) -> None:
    generator = np.random.default_rng(11)
    ps = [PS[name].of(Texts(generator, effect=0.0).write()) for _ in range(runs)]
    assert np.mean(np.array(ps) <= 0.05) <= most(runs)
    assert np.mean(np.array(ps) <= 0.5) >= 0.35  # and the test is no blind one


@pytest.mark.thorough
def test_groups_that_differ_are_seen() -> None:
    generator = np.random.default_rng(12)
    ps = [PS["mood"].of(Texts(generator, effect=3.0).write()) for _ in range(20)]
    assert np.mean(np.array(ps) <= 0.05) > 0.8


@pytest.mark.thorough
@pytest.mark.parametrize("runs", SIZES)
@pytest.mark.parametrize("name", ["mood", "harmful"])
def test_the_same_model_under_another_seed_has_the_same_gap(name: str, runs: int) -> None:
    generator = np.random.default_rng(13)
    changed = 0
    for _ in range(runs):
        texts = Texts(generator, effect=1.5)  # a gap that is there, on both sides
        sides = Sides(before=texts.write(), afters=(texts.write(),))
        (change,) = compare_metrics([GAPS[name]], sides, draws=200, seed=0)
        changed += change.direction not in ("unchanged", "unknown")
    assert changed / runs <= most(runs)


@pytest.mark.thorough
def test_a_gap_of_texts_dealt_one_by_one_would_be_found_too_often() -> None:
    # why entities are dealt, not texts: their prompts and samples are alike
    generator = np.random.default_rng(14)
    ps = []
    for _ in range(30):
        columns = dict(Texts(generator, effect=0.0).write())
        columns[CLUSTER] = np.arange(len(columns["mood"]), dtype=float)
        ps.append(PS["mood"].of(columns))
    assert np.mean(np.array(ps) <= 0.05) > 0.2


@pytest.mark.thorough
@pytest.mark.parametrize("runs", SIZES)
@pytest.mark.parametrize("apart", [0.0, 0.5, 2.0])
def test_the_interval_of_a_gap_holds_the_true_gap(apart: float, runs: int) -> None:
    # percentiles of the draws never do where groups are alike: every draw adds to the range
    generator = np.random.default_rng(15)
    group = np.repeat(np.arange(4), 30)
    held = 0
    for _ in range(runs):
        columns = {
            "mood": apart * np.linspace(0, 1, 4)[group] + generator.normal(size=len(group)),
            "@group": group.astype(float),
            "@domain": np.zeros(len(group)),
            CLUSTER: np.arange(len(group), dtype=float),
        }
        (gap,) = bootstrap([GAPS["mood"]], columns, draws=200, seed=0)
        held += gap.low <= apart <= gap.high
    assert held / runs >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / runs)


class ScenesAboutAll:
    """Ten scenes in two wordings about two people of each of six groups, in two domains.

    Of ten clusters every exchange of sides is tried; a sample of 200, the same in each run, would
    be off by a share of its own.
    """

    def __init__(self, generator: np.random.Generator, *, effect: float) -> None:
        shape = (10, 2, 6, 2)  # scene, wording, group, person
        scene, wording, group, _ = (axis.ravel() for axis in np.indices(shape))
        level = generator.normal(size=10)[scene] + generator.normal(size=(10, 2))[scene, wording]
        level = level + 0.5 * generator.normal(size=len(scene)) + effect * (group == 2)
        self.generator = generator
        self.level, self.scene, self.wording, self.group = (
            np.repeat(values, 2) for values in (level, scene, wording, group)
        )

    def write(self) -> Columns:
        mood: Column = self.level + self.generator.standard_exponential(len(self.level)) - 1.0
        return {
            "mood": mood,
            "harmful": (mood > 1.5).astype(float),
            "@group": self.group.astype(float),
            "@domain": (self.group > 3).astype(float),
            "@wording": self.wording.astype(float),
            CLUSTER: self.scene.astype(float),
        }


@pytest.mark.thorough
@pytest.mark.parametrize("runs", SIZES_OF_SCENES)
@pytest.mark.parametrize("name", ["mood", "harmful"])
def test_groups_of_the_same_scenes_lie_apart_in_5_percent_of_runs(name: str, runs: int) -> None:
    generator = np.random.default_rng(16)
    ps = [SCENE_PS[name].of(ScenesAboutAll(generator, effect=0.0).write()) for _ in range(runs)]
    assert np.mean(np.array(ps) <= 0.05) <= most(runs)
    assert np.mean(np.array(ps) <= 0.5) >= 0.35


@pytest.mark.thorough
def test_a_group_of_the_same_scenes_that_differs_is_seen() -> None:
    generator = np.random.default_rng(17)
    ps = [SCENE_PS["mood"].of(ScenesAboutAll(generator, effect=1.0).write()) for _ in range(20)]
    assert np.mean(np.array(ps) <= 0.05) > 0.8


def count_changes(metric: Metric, *, seed: int, runs: int) -> int:
    """In how many runs a metric of scenes is said to change from one seed to the next."""
    generator = np.random.default_rng(seed)
    changed = 0
    for _ in range(runs):
        scenes = ScenesAboutAll(generator, effect=1.5)  # a gap that is there, on both sides
        sides = Sides(before=scenes.write(), afters=(scenes.write(),))
        (change,) = compare_metrics([metric], sides, draws=200, seed=0)
        changed += change.direction not in ("unchanged", "unknown")
    return changed


@pytest.mark.thorough
@pytest.mark.parametrize("runs", SIZES_OF_SCENES)
@pytest.mark.parametrize("name", ["mood", "harmful"])
def test_the_gap_of_scenes_is_the_same_under_another_seed(name: str, runs: int) -> None:
    assert count_changes(SCENE_GAPS[name], seed=18, runs=runs) / runs <= most(runs)


@pytest.mark.slow
def test_what_a_group_does_beyond_rewording_is_the_same_under_another_seed() -> None:
    over_reword = [*rewording_metrics([MOOD], WITHIN_SCENES)][2]
    assert count_changes(over_reword, seed=18, runs=200) / 200 <= most(200)
