"""The planted benchmark: a model that says the truth has no error; others have a known one."""

import math
from collections.abc import Callable

import pytest
from worlds import in_world

from equipoise.benchmarks.planted import Planted
from equipoise.errors import RecipeError
from equipoise.measure import measure
from equipoise.planted.corpus import quotas
from equipoise.planted.folder import world_folder
from equipoise.planted.world import World, find_world
from equipoise.testing import FakeScorer


def truthful(world: World) -> Callable[[str, str], float]:
    """Log-probabilities as the world has them."""
    prompts = {t.prompt(p.word): (p.word, t) for p in world.professions for t in world.templates}
    facts = {fact.prompt: f" {fact.answer}" for fact in world.facts}
    counts = {text: count for text, _, _, count in quotas(world)}

    def nats(context: str, text: str) -> float:
        if not context:
            return math.log(counts.get(text, 0.1))
        if context in facts:
            return -0.1 if text == facts[context] else -5.0
        if context in prompts:
            he, she = world.p_next(*prompts[context])
        elif " his " in context or " her " in context:
            he, she = world.p_hinted("his" if " his " in context else "her")
        else:
            return -20.0
        return math.log(he if text == " he" else she)

    return nats


def values(model: FakeScorer, world: str) -> dict[str, float]:
    with in_world(world):
        measurement = measure(model, Planted(), draws=0)
    return {
        estimate.metric: estimate.value for estimate in measurement.estimates if not estimate.group
    }


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["strength=0", "default", "targets=12"])
def test_true_model_has_no_error(name: str) -> None:
    world = find_world(name)
    metrics = values(FakeScorer(nats=truthful(world)), name)
    for metric, value in metrics.items():
        if metric.endswith("_error"):
            assert value == pytest.approx(0, abs=1e-9), metric
    assert metrics["afgb_measured"] == pytest.approx(world.true_afgb())
    assert metrics["afgb_true"] == pytest.approx(world.true_afgb())
    assert metrics["ub"] == pytest.approx(world.true_ub())
    assert metrics["hints_obeyed"] == metrics["facts_recalled"] == 100
    assert metrics["true_preferences_followed"] == 100
    assert (
        metrics["ss_gender"]
        == metrics["ss_gender_true"]
        == pytest.approx(world.true_ss("gender", part="test"))
    )
    assert metrics["pairs_stereotyped"] == pytest.approx(world.true_pair_score())
    assert metrics["thing_mass"] == pytest.approx(0, abs=1e-8)


@pytest.mark.thorough
def test_errors_of_a_neutral_model() -> None:
    world = find_world("strength=1")
    metrics = values(FakeScorer(nats=lambda _c, t: math.log(0.4) if t else 0.0), "strength=1")
    assert metrics["afgb_measured"] == 0
    assert metrics["afgb_error"] == pytest.approx(world.true_afgb())
    assert metrics["mass_error"] == pytest.approx(0, abs=1e-9)
    assert metrics["hints_obeyed"] == 50
    assert metrics["facts_recalled"] == 0
    assert metrics["thing_mass"] == pytest.approx(0.8)
    assert metrics["ss_gender"] == 50
    assert metrics["ss_gender_error"] == pytest.approx(40)
    assert metrics["ss_profession_error"] == pytest.approx(20)
    assert metrics["true_preferences_followed"] == 0


def test_examples_of_every_kind() -> None:
    with in_world():
        examples = Planted().examples("test")
    kinds = [example.kind for example in examples]
    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "contrast": 160,
        "fact": 62,
        "gap": 576,
        "hint": 384,
        "pair": 92,
        "thing": 200,
    }
    assert len({example.id for example in examples}) == len(examples)
    assert all(example.groups["target"] for example in examples)
    train = find_world("default").hint_templates_train
    assert not any(f" {text.split()[2]} " in example.text for example in examples for text in train)


def test_missing_answer_is_nan() -> None:
    benchmark = Planted()
    with in_world():
        examples = benchmark.examples("test")
    model = FakeScorer(nats=lambda _context, _text: math.nan)
    for kind in ("gap", "hint", "thing", "fact", "contrast"):
        example = next(example for example in examples if example.kind == kind)
        requests = benchmark.requests(example)
        answers = model.score(requests) if kind == "contrast" else model.next_token(requests)
        outcome = benchmark.outcome(example, answers)
        read = {key: v for key, v in outcome.values.items() if key not in example.truth}
        assert read
        assert all(math.isnan(value) for value in read.values()), kind


def test_unknown_world_and_split() -> None:
    with pytest.raises(RecipeError, match="did you mean 'strength'"):
        world_folder("strenght=1")
    with pytest.raises(RecipeError, match="planted:NAME"):
        Planted().examples("test")


def test_kinds_outside_the_limit_are_nan_with_reason() -> None:
    with in_world():
        estimates = measure(FakeScorer(), Planted(), limit=1, draws=0).estimates
    assert {estimate.metric for estimate in estimates if not estimate.group} == {
        metric.name for metric in Planted.metrics
    }
    read = [
        estimate for estimate in estimates if not estimate.group and not math.isnan(estimate.value)
    ]
    assert 0 < len(read) < len(Planted.metrics)
    assert all(estimate.reason for estimate in estimates if math.isnan(estimate.value))
