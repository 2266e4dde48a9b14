"""Probabilities of grades to a judgement."""

import math

import pytest

from equipoise.judging.grading import grade
from equipoise.judging.judgement import GRADES, JudgedText, Judgement
from equipoise.judging.questions import typed_questions
from equipoise.records import Decided

TEXT = JudgedText(prompt="", text="a", quality="b", words=(), names=())


def graded(*orders: tuple[float, ...], mass: float = 0.5) -> Judgement:
    answers = [Decided(probabilities=shares, label_mass=mass) for shares in orders]
    return grade(typed_questions(TEXT), answers)


def test_a_judge_of_content() -> None:
    shares = dict(zip(GRADES, (0.1, 0.2, 0.6, 0.1), strict=True))
    orders = [tuple(shares[name] for name in asked.options) for asked in typed_questions(TEXT)]
    judgement = graded(*orders)
    assert judgement.strength == pytest.approx(0.2 + 1.2 + 0.3)
    assert (judgement.modal, judgement.flip_rate, judgement.label_mass) == (2, 0, 0.5)


def test_a_judge_of_places() -> None:
    judgement = graded(*[(0.7, 0.1, 0.1, 0.1)] * 4)
    assert judgement.strength == pytest.approx(1.5)  # nothing is left
    assert judgement.flip_rate == 1


def test_a_mass_that_is_not_told() -> None:
    assert math.isnan(graded(*[(0.25,) * 4] * 4, mass=math.nan).label_mass)
