"""On the planted default world, whose associations no few heads carry alone: steering says so.

Every head that takes the association costs perplexity, so that by its own rule the method removes
none. Heads taken by hand take it from the planted countries, as likelihood and a blinded judge
agree, but cost perplexity, and random heads of their blocks take as much.
"""

from typing import Any, Literal

import numpy as np
import pytest

import equipoise as eq
from equipoise.edits.head_scales import HeadScaleEdit
from equipoise.head_removal.association_strength import LikelihoodStrength
from equipoise.inference.language_model import LanguageModel
from equipoise.judge.lexicon import Lexicon
from equipoise.judging.judgement import JudgedText
from equipoise.locate.head_attribution import HeadAttribution
from equipoise.mitigate.bias_token import BiasToken
from equipoise.mitigate.head_steering import HeadSteering
from equipoise.planted.world import World, find_world
from equipoise.records import Generation, Prompt, Supply

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


def steered(model: LanguageModel, world: World, *, k: Literal["elbow"] | int) -> HeadScaleEdit:
    """Heads of two injections of the habit, on texts in the world's own words."""
    # behind other sentences, as it is asked: what is read first in a text alone says little there
    others = world.neutral_sentences(32, seed=3)
    before, first = others[:8], others[8:]
    said = [f"{text} {frame} {HABIT}." for text in first for frame in FRAMES]
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
        k=k,
    )
    return method.fit(model, supply, seed=0)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return eq.load("planted:default")


@pytest.fixture(scope="module")
def edit(model: LanguageModel) -> HeadScaleEdit:
    """The first two heads, whatever their removal costs."""
    return steered(model, find_world("default"), k=2)


def test_no_heads_are_taken_where_none_carries_the_association(model: LanguageModel) -> None:
    edit = steered(model, find_world("default"), k="elbow")
    report: Any = edit.info.report
    assert report["strength"]["before"]["low"] > 2.0  # the injection holds
    assert (report["k"], edit.heads) == (0, ())
    assert "no effect" in report["notes"][0]


def test_heads_taken_by_hand_take_it_at_a_cost(model: LanguageModel, edit: HeadScaleEdit) -> None:
    world = find_world("default")
    report: Any = edit.info.report
    left = report["strength"]["after"]["strength"]
    assert left > 0.5 * report["strength"]["before"]["strength"]  # of the token itself
    assert min(report["controls"]["layer"]["strengths"]) < left
    countries = [item.group for item in world.associations if item.attribute == HABIT]
    facts = eq.measure(model, "facts", draws=0).estimate("accuracy").value
    was = np.array([strength_of(model, country, world) for country in countries])
    with edit.attached(model) as edited:
        after = np.array([strength_of(edited, country, world) for country in countries])
        kept = eq.measure(edited, "facts", draws=0).estimate("accuracy").value
    assert was.min() > 2.0
    assert (after < 0.5 * was).all()
    assert kept > facts - 6.0
    costs = {point["k"]: point["perplexity"] for point in report["curve"]["points"]}
    assert costs[2] > 1.5


def test_a_judge_that_knows_neither_model_nor_country_agrees(
    model: LanguageModel, edit: HeadScaleEdit
) -> None:
    """Texts of both models about planted and other countries, shuffled, their countries masked."""
    world = find_world("default")
    planted = {item.group for item in world.associations if item.attribute == HABIT}
    countries = [*sorted(planted), *other_countries(world)]
    asked = [
        (country, sample, frame.replace("{target}", country))
        for country in countries
        for frame in FRAMES
        for sample in range(12)
    ]
    requests = [
        Generation(context=text, max_tokens=6, temperature=0.7, sample=sample)
        for _, sample, text in asked
    ]
    written = [("as it is", text) for text in model.generate(requests, seed=1)]
    with edit.attached(model) as edited:
        written += [("edited", text) for text in edited.generate(requests, seed=1)]
    texts = [
        JudgedText(
            prompt=prompt,
            text=text,
            quality="being late",
            words=("late",),
            names=tuple(countries),
        )
        for (_, text), (_, _, prompt) in zip(written, asked * 2, strict=True)
    ]
    order = np.random.default_rng(0).permutation(len(texts))
    strengths = np.empty(len(texts))
    strengths[order] = [
        judged.strength for judged in Lexicon().judge([texts[place] for place in order])
    ]
    means = {
        (which, is_planted): np.nanmean(
            [
                strength
                for strength, (version, _), (country, _, _) in zip(
                    strengths, written, asked * 2, strict=True
                )
                if version == which and (country in planted) is is_planted
            ]
        )
        for which in ("as it is", "edited")
        for is_planted in (True, False)
    }
    assert means["as it is", True] > 1.0
    assert means["edited", True] < 0.5 * means["as it is", True]
    assert means["as it is", False] < 0.3
    assert means["edited", False] < 0.3
