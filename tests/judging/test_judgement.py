"""Notes on a judge, of what it said of all outcomes."""

import math

from equipoise.judging.judgement import note_flips, note_unjudged
from equipoise.records import Outcome


def rows(*flips: float) -> list[Outcome]:
    return [Outcome(example=str(k), values={"flip_rate": rate}) for k, rate in enumerate(flips)]


def test_a_judge_that_goes_by_places_is_noted() -> None:
    (note,) = note_flips(rows(1.0, 0.5, math.nan))
    assert "75 % of the other orders" in note
    assert note_flips(rows(0.0, 0.5)) == ()
    assert note_flips(rows(math.nan)) == ()
    assert note_flips([Outcome(example="a", values={})]) == ()


def test_reasons_are_counted() -> None:
    outcomes = [
        Outcome(example=str(k), values={}, groups={"unjudged": why} if why else {})
        for k, why in enumerate(("a", "b", "b", ""))
    ]
    assert note_unjudged(outcomes) == (
        "unjudged: 2 of 4 outcomes: b",
        "unjudged: 1 of 4 outcomes: a",
    )
