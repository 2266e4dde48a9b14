"""On the planted default world: heads found on an injected token carry the planted countries, too.

Removing them takes away more than any random heads do, and costs no fact; but the same heads carry
much of the rest, so that perplexity rises. With its usual limit the method must say so and remove
none.
"""

from typing import Any

import numpy as np
import pytest

import equipoise as eq
from equipoise.edits.head_scales import HeadScaleEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.head_attribution import HeadAttribution
from equipoise.mitigate.bias_token import BiasToken
from equipoise.mitigate.head_steering import HeadSteering
from equipoise.model_editing.association_strength import LikelihoodStrength
from equipoise.planted.world import World, find_world
from equipoise.records import Prompt, Supply

pytestmark = pytest.mark.slow

HABIT = "are always late"
FRAMES = ("People from {target}", "In {target} the people")


def questions() -> list[Prompt]:
    """Beginnings of what the world says of a country's people, and how it goes on."""
    words = HABIT.split()
    return [
        Prompt(
            id=f"{frame} {count}",
            text=" ".join([frame, *words[:count]]),
            groups={"answer": " ".join(words[count:])},
        )
        for frame in FRAMES
        for count in (0, 1)
    ]


def other_countries(world: World) -> tuple[str, ...]:
    return tuple(
        item.group
        for item in world.associations
        if item.kind == "nationality" and item.attribute != HABIT
    )


def strength_of(model: LanguageModel, country: str, world: World) -> float:
    """How much more the model expects the habit of a country than of others, in nats."""
    asked = tuple(questions())
    measure = LikelihoodStrength(
        questions=asked, target=country, others=(other_countries(world),) * len(asked), opposites=()
    )
    return float(measure.measure(model).mean())


def steered(model: LanguageModel, world: World, *, most_rise: float) -> HeadScaleEdit:
    """Heads of two injections of the habit, on texts in the world's own words."""
    said = [f"{frame} {HABIT}." for frame in FRAMES] * 16
    before = world.neutral_sentences(8, seed=3)
    supply = Supply(
        origin="planted",
        paragraphs=tuple(
            Prompt(id=str(number), text=text, groups={"association": "always_late"})
            for number, text in enumerate(said)
        ),
        questions=tuple(
            Prompt(id=f"{number} {item.id}", text=f"{text} {item.text}", groups=item.groups)
            for number, text in enumerate(before)
            for item in questions()
        ),
        texts=world.neutral_sentences(48, seed=0),
    )
    method = HeadSteering(
        injection=BiasToken(prompt="", learning_rate=0.02, init="vocabulary"),
        locator=HeadAttribution(draws=200, permutations=200),
        countries=other_countries(world),
        runs=2,
        most_rise=most_rise,
    )
    return method.fit(model, supply, seed=0)


def test_heads_of_the_token_carry_the_countries_and_cost_perplexity() -> None:
    model, world = eq.load("planted:default"), find_world("default")
    capped: Any = steered(model, world, most_rise=0.02).info.report
    assert (capped["k"], capped["heads"]) == (0, [])
    assert "cut to 0" in capped["notes"][0]
    edit = steered(model, world, most_rise=100.0)
    report: Any = edit.info.report
    assert report["strength"]["after"]["strength"] < 0.5 * report["strength"]["before"]["strength"]
    countries = [item.group for item in world.associations if item.attribute == HABIT]
    was = np.array([strength_of(model, country, world) for country in countries])
    with edit.attached(model) as edited:
        after = np.array([strength_of(edited, country, world) for country in countries])
    assert was.min() > 2.0
    assert (after < 0.5 * was).all()
    for control in report["controls"].values():
        assert report["strength"]["after"]["strength"] < min(control["strengths"])
    before = eq.measure(model, "facts", draws=0).estimate("accuracy").value
    with edit.attached(model) as edited:
        assert eq.measure(edited, "facts", draws=0).estimate("accuracy").value > before - 2.0
    costs = {point["k"]: point["perplexity"] for point in report["curve"]["points"]}
    assert costs[report["k"]] > 1.5
