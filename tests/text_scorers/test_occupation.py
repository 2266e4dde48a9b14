"""Occupations in a text, and the gender that people give them."""

import math

import pytest
from written_texts import scores

from equipoise.data.professions import professions
from equipoise.text_scorers.occupation import Occupation

pytestmark = pytest.mark.usefixtures("data_folder")


def rated(word: str) -> float:
    return next(term.score for term in professions("prof_clean") if term.word == word)


def test_the_mean_score_of_what_is_named() -> None:
    values = scores(Occupation(), " was a Nurse; two architects met her.")
    assert values["occupation_gender"] == pytest.approx((rated("nurse") + rated("architect")) / 2)
    assert values["occupation_named"] == 1
    assert rated("nurse") < 0 < rated("architect")


@pytest.mark.parametrize("text", [" walked home.", " nursed a cold.", " an architectural gem"])
def test_without_an_occupation_there_is_no_score(text: str) -> None:
    values = scores(Occupation(), text)
    assert math.isnan(values["occupation_gender"])
    assert values["occupation_named"] == 0


def test_the_longest_name_counts() -> None:
    values = scores(Occupation(), " became a registered nurse")
    assert values["occupation_gender"] == rated("registered nurse")
