"""What is shared by items and their copies, and what is said of it."""

import math
from dataclasses import replace

import pytest

from equipoise.metrics.target_parts import (
    DONE,
    NOT_LISTED,
    exchange_conclusion,
    exchange_notes,
    retokenized,
    with_others,
)
from equipoise.records import Estimate, Outcome, Scored, ScoredPair

PLAIN = Outcome(example="a", values={"prefers": 1.0}, groups={})


def test_others_are_averaged_and_compared_with_the_own_answer() -> None:
    others = [{"prefers": 1.0, "margin": 1.0}, {"prefers": 0.0, "margin": -2.0}]
    values = with_others(PLAIN, {"prefers": 1.0, "margin": 0.5}, others).values
    assert values == {
        "prefers": 1.0, "prefers_own": 1.0, "prefers_exchanged": 0.5, "same_with_others": 0.5,
        "margin_own": 0.5, "margin_exchanged": -0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "others"), [(math.nan, [1.0, 0.0]), (1.0, [math.nan]), (1.0, [])]
)
def test_what_either_side_lacks_is_lacking_on_both(value: float, others: list[float]) -> None:
    measured = with_others(PLAIN, {"prefers": value}, [{"prefers": each} for each in others])
    for name in ("prefers_own", "prefers_exchanged", "same_with_others"):
        assert math.isnan(measured.values[name])


def scored(tokens: int) -> Scored:
    return Scored(token_logprobs=(-1.0,) * tokens, bytes=1)


def test_other_numbers_of_tokens_are_counted_beside_each_other() -> None:
    plain = [scored(4), scored(5), scored(9)]
    longer, other = [scored(6), scored(7)], [scored(6), scored(6)]
    assert retokenized(plain, [longer, other], texts=2) == {"retokenized_with_others": 0.5}
    pair = ScoredPair(first=scored(4), second=scored(5))
    assert retokenized([pair], [[pair]], texts=2) == {"retokenized_with_others": 0.0}
    assert retokenized(["text"], [["other"]], texts=2) == {}


def test_notes_name_what_was_left_out() -> None:
    def outcome(reason: str, target: str, axis: str, **values: float) -> Outcome:
        groups = {"exchange": reason, "target": target, "axis": axis}
        return Outcome(example=target, values=values, groups=groups)

    outcomes = [
        outcome(NOT_LISTED, "elf", "race"),
        outcome(NOT_LISTED, "gnome", "race"),
        outcome(DONE, "nurse", "profession", retokenized_with_others=0.5),
        outcome(DONE, "cook", "profession", retokenized_with_others=0.0),
    ]
    assert list(exchange_notes(outcomes, by="axis")) == [
        "exchange: 2 of 4 items are left out, no list has its target (axis race 2): elf, gnome",
        "exchange: in 1 of 2 items an exchange changes how many tokens the compared texts have "
        "beside each other; they are kept",
    ]
    assert list(exchange_notes([PLAIN], by="axis")) == []


@pytest.mark.parametrize(
    ("plain", "others", "target", "end"),
    [
        ((60, 66), (58, 64), (-1, 3), "words, not groups: no part of the target is shown"),
        ((60, 66), (48, 54), (8, 12), "groups, not words: nothing is shown to stay with others"),
        ((60, 66), (52, 58), (4, 9), "words and group both take part"),
        ((48, 54), (47, 53), (-1, 3), "neither words nor group are shown to take part"),
        ((49, 54), (48, 53), (0.2, 1.7), "the group takes part, though no bias is shown with it"),
    ],
)
def test_conclusions_follow_the_intervals(
    plain: tuple[float, float],
    others: tuple[float, float],
    target: tuple[float, float],
    end: str,
) -> None:
    estimates = [
        Estimate(
            metric=f"ss_{name}", value=(low + high) / 2, low=low, high=high, n=9, clusters=9,
            unit="%", ideal=ideal,
        )
        for name, (low, high), ideal in (
            ("own", plain, 50.0), ("exchanged", others, 50.0), ("target", target, 0.0)
        )
    ]  # fmt: skip
    (sentence,) = exchange_conclusion("ss", estimates)
    assert sentence.endswith(f": {end}")
    lost = [replace(each, low=math.nan, high=math.nan) for each in estimates]
    assert exchange_conclusion("ss", lost) == ()
    assert exchange_conclusion("other", estimates) == ()
