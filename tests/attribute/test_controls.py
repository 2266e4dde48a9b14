"""Length, random and label: what others are measured against."""

import math

import numpy as np
import pytest

from equipoise.attribute.base import Attributor
from equipoise.attribute.label import Label
from equipoise.attribute.length import Length
from equipoise.attribute.random import Random
from equipoise.errors import RecipeError
from equipoise.fakes import tiny_model
from equipoise.plugins import build, find
from equipoise.rows import TrainingRow

MODEL = tiny_model()
ROWS = [
    TrainingRow(id="a", text="four", groups={"label": "neutral"}),
    TrainingRow(
        id="b", messages=(("user", "no"), ("assistant", "yes")), groups={"label": "biased"}
    ),
    TrainingRow(id="c", text="six"),
]


def test_length_counts_characters_of_all_turns() -> None:
    attribution = Length().attribute(MODEL, ROWS, [], seed=0)
    assert attribution.scores.tolist() == [4, 6, 3]
    assert attribution.probes == 0


def test_random_is_settled_by_the_seed() -> None:
    first, same, other = (Random().attribute(MODEL, ROWS, [], seed=k).scores for k in (1, 1, 2))
    assert first.tolist() == same.tolist() != other.tolist()
    assert np.all((first >= 0) & (first < 1))


def test_label_is_one_for_biased_rows_and_missing_without_a_label() -> None:
    attribution = Label().attribute(MODEL, ROWS, [], seed=0)
    assert attribution.scores[:2].tolist() == [0, 1]
    assert math.isnan(attribution.scores[2])
    assert attribution.skipped == {"c": "no label"}
    with pytest.raises(RecipeError, match="got 0 of 1"):
        Label().attribute(MODEL, ROWS[2:], [], seed=0)


@pytest.mark.parametrize("name", ["length", "random", "label", "bm25", "tfidf", "similarity"])
def test_who_is_always_reported(name: str) -> None:
    assert find(Attributor, name).baseline == (name != "label")
    assert find(Attributor, name).uses_model == (name == "similarity")
    build(Attributor, name)


@pytest.mark.parametrize("method", [Length(), Random(), Label()])
def test_no_rows_are_refused(method: Attributor) -> None:
    with pytest.raises(RecipeError, match="got 0"):
        method.attribute(MODEL, [], [], seed=0)
