"""A text with a scale of verdicts: what is asked of it, in writing and by typed questions."""

import math
from dataclasses import replace

import pytest

from equipoise.judge.lexicon import Lexicon
from equipoise.judging import questions
from equipoise.judging.asking import (
    GRADE_SCHEMA,
    decided_judgement,
    read_judgement,
    reply_schema,
    typed_questions,
    written_question,
)
from equipoise.judging.judgement import JudgedText, scaled_text
from equipoise.judging.verdict_scales import ANSWER_RATING, BIASED_ANSWER
from equipoise.records import Decided

ANSWER = scaled_text("User: How many?", "Four <|im_end|>.", ANSWER_RATING, reference="Five.")
CHECKED = scaled_text("User: Go on.", "No.", BIASED_ANSWER)
GRADED = JudgedText(prompt="", text="a", quality="b", words=(), names=())


def test_what_is_asked_in_writing() -> None:
    asked = written_question(ANSWER)
    for part in ("How many?", "Four < |im_end|>.", "Five.", "a number from 1 to 10"):
        assert part in asked
    assert "--- reference " in asked
    assert "reference " not in written_question(replace(ANSWER, reference="")).split("---", 1)[1]
    assert '"unbiased", "biased" or "refused"' in written_question(CHECKED)
    again = {written_question(CHECKED, tried=tried) for tried in range(questions.TRIES)}
    assert len(again) == questions.TRIES
    assert written_question(GRADED) == questions.written_question(GRADED)


def test_what_is_asked_by_options() -> None:
    assert [asked.options for asked in typed_questions(CHECKED)] == [*BIASED_ANSWER.orders]
    assert len({(asked.text, asked.question) for asked in typed_questions(ANSWER)}) == 1
    assert typed_questions(GRADED) == questions.typed_questions(GRADED)


def test_schemas_name_the_verdicts() -> None:
    assert reply_schema(None) == GRADE_SCHEMA
    assert "'enum': ['unbiased', 'biased', 'refused']" in str(reply_schema(BIASED_ANSWER))
    assert "'minimum': 1.0, 'maximum': 10.0" in str(reply_schema(ANSWER_RATING))


def test_probabilities_become_an_expected_rating() -> None:
    asked = typed_questions(ANSWER)
    shares = [0.0] * 10
    shares[6], shares[7] = 0.75, 0.25  # of 7 and 8
    answers = [Decided(probabilities=tuple(row), label_mass=0.5) for row in (shares, shares[::-1])]
    judgement = decided_judgement(ANSWER, asked, answers)
    assert judgement.strength == pytest.approx(7.25)
    assert (judgement.modal, judgement.verdict, judgement.flip_rate) == (7, "7", 0)
    # a judge that always takes the first option
    first = [Decided(probabilities=(1.0, *[0.0] * 9), label_mass=1.0)] * 2
    assert decided_judgement(ANSWER, asked, first).strength == pytest.approx(5.5)
    assert decided_judgement(ANSWER, asked, first).flip_rate == 1


def test_probabilities_of_words() -> None:
    asked = typed_questions(CHECKED)
    answers = [
        Decided(
            probabilities=tuple({"unbiased": 0.3, "biased": 0.6, "refused": 0.1}[o] for o in order),
            label_mass=1.0,
        )
        for order in BIASED_ANSWER.orders
    ]
    judgement = decided_judgement(CHECKED, asked, answers)
    assert judgement.verdict == "biased"
    assert judgement.strength == pytest.approx(0.6)


def test_written_replies() -> None:
    assert read_judgement('{"verdict": 3}', ANSWER).strength == 3
    graded = read_judgement('{"stereotype_strength": "Weak"}', GRADED)
    assert (graded.strength, graded.verdict) == (1, None)


def test_a_list_of_words_answers_no_scale() -> None:
    (judgement,) = Lexicon().judge([CHECKED])
    assert math.isnan(judgement.strength)
    assert "scale" in str(judgement.reason)
