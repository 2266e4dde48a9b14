"""Less harm is not less bias: what is said of a rate, its gap, length and register together."""

import math
from dataclasses import replace
from typing import Any

import pytest

from equipoise.conclusions import Change
from equipoise.report.harm_sentences import (
    GapMove,
    Harm,
    gap_move,
    harm_sentence,
    harm_tone,
    harm_verdict,
)

from .making import CHANGE


def change(metric: str, before: float, after: float, half: float, **over: Any) -> Change:
    """A change whose difference is known to `half` on either side."""
    moved = after - before
    fields: dict[str, Any] = {
        "unit": "%", "ideal": 0.0,
        "direction": "unchanged" if abs(moved) <= half else "reduced" if moved < 0 else "worse",
        "before": before, "after": after, "difference": moved,
        "low": moved - half, "high": moved + half,
    }  # fmt: skip
    return replace(CHANGE, metric=metric, **(fields | over))


RATE = change("rude_harmful", 20.0, 8.0, 3.0)
WORDS = change(
    "length_words", 21.0, 18.0, 0.5, unit="words", ideal=None, direction="changed",
)  # fmt: skip
CAPTIONS = change(
    "register_captions", 0.01, 0.05, 0.01, unit="share", ideal=None, direction="changed",
)  # fmt: skip


def harm(rate: Change = RATE, *gaps: Change, **over: Any) -> Harm:
    gap = gaps[0] if gaps else change("rude_harmful_gap", 10.0, 9.8, 1.5)
    fields: dict[str, Any] = {
        "gap": gap, "null_before": 4.0, "null_after": 3.0, "lengths": (WORDS,),
        "registers": (CAPTIONS,),
    }  # fmt: skip
    return Harm(rate=rate, **(fields | over))


def test_a_register_that_lowers_the_rate_and_not_the_disparity_is_said_to_do_exactly_that() -> None:
    assert harm_sentence(harm()) == (
        "harm fell by 12.0 points [9.0, 15.0] (20.0 → 8.0), while texts became shorter "
        "(length_words -3.00 words [-3.50, -2.50]) and changed register (register_captions +0.040 "
        "share [0.030, 0.050]); the gap between groups did not fall with it (10.0 → 9.8, -0.20 "
        "points [-1.70, 1.30], where a fall with the rate would be 6.00): lowers the rate, not the "
        "disparity"
    )
    assert harm_tone(harm()) == "unclear"


@pytest.mark.parametrize(
    ("before", "after", "half", "move", "verdict"),
    [
        (10.0, 3.0, 2.0, "fell", "lowers the rate and the disparity"),
        (10.0, 14.0, 2.0, "rose", "lowers the rate, not the disparity, which rose"),
        (10.0, 9.8, 1.5, "not with it", "lowers the rate, not the disparity"),
        # -5 ± 7 holds a fall in proportion, -6, and none
        (10.0, 5.0, 7.0, "unclear", "lowers the rate; that it lowers the disparity is not shown"),
        (3.0, 2.0, 2.0, "none", "lowers the rate; no disparity was shown before"),
    ],
)
def test_verdicts_of_a_lower_rate(
    before: float, after: float, half: float, move: GapMove, verdict: str
) -> None:
    harms = harm(RATE, change("rude_harmful_gap", before, after, half))
    assert gap_move(harms) == move
    assert harm_verdict(harms) == verdict
    assert harm_sentence(harms).endswith(f": {verdict}")


@pytest.mark.parametrize(
    "over",
    [
        {"gap": None},
        {"gap": change("g", 10.0, 9.8, math.nan)},
        {"gap": replace(change("g", 10.0, 9.8, 1.0), direction="unknown", reason="few clusters")},
        {"null_before": math.nan},
    ],
)
def test_without_an_interval_or_a_level_of_chance_nothing_is_said_of_the_gap(
    over: dict[str, Any],
) -> None:
    harms = harm(**over)
    assert gap_move(harms) == "unknown"
    assert harm_verdict(harms) == "lowers the rate; of the disparity nothing is known"
    assert "did not fall" not in harm_sentence(harms)
    assert harm_tone(harms) == "unclear"


def test_a_gap_that_falls_in_proportion_alone_is_not_denied() -> None:
    """A rate that falls to 40 % takes a gap of 10 to 4 by itself: -6 lies in the interval."""
    harms = harm(RATE, change("g", 10.0, 6.0, 4.5, direction="unchanged"))
    assert gap_move(harms) == "unclear"


@pytest.mark.parametrize(
    ("rate", "verdict", "tone"),
    [
        (change("r", 8.0, 20.0, 3.0), "raises the rate", "worse"),
        (change("r", 20.0, 19.0, 3.0), "no change of the rate is shown", "unchanged"),
        (
            replace(RATE, direction="unknown", reason="2 clusters"),
            "nothing is known of the rate",
            "unknown",
        ),
        (
            replace(RATE, direction="not comparable", reason="start token differs"),
            "nothing is known of the rate",
            "not-comparable",
        ),
    ],
)
def test_a_rate_that_did_not_fall(rate: Change, verdict: str, tone: str) -> None:
    harms = harm(rate)
    assert harm_verdict(harms) == verdict
    assert harm_tone(harms) == tone
    if rate.reason:
        assert harm_sentence(harms) == f"of harm nothing is stated ({rate.reason})"
    else:
        assert "lowers" not in harm_sentence(harms)


def test_a_rate_of_none_has_no_fall_in_proportion() -> None:
    nothing = change("r", 0.0, 0.0, 0.0)
    assert gap_move(harm(nothing)) == "unclear"
    assert "no change of harm is shown" in harm_sentence(harm(nothing))


def test_length_and_register_that_were_not_scored_or_did_not_move() -> None:
    text = harm_sentence(harm(lengths=(), registers=()))
    assert "the length of texts was not scored and their register was not scored" in text
    still = replace(WORDS, direction="unchanged"), replace(CAPTIONS, direction="unchanged")
    text = harm_sentence(harm(lengths=still[:1], registers=still[1:]))
    assert "no change of the length of texts is shown (length_words" in text
    assert "no change of register is shown (register_captions" in text
    unknown = replace(WORDS, direction="unknown", reason="no words")
    assert "nothing is known of the length of texts (no words)" in harm_sentence(
        harm(lengths=(unknown,))
    )
    assert "became longer" in harm_sentence(harm(lengths=(replace(WORDS, difference=3.0),)))


def test_tone_is_good_only_where_the_disparity_fell_too() -> None:
    assert harm_tone(harm(RATE, change("g", 10.0, 3.0, 2.0))) == "reduced"
    assert harm_tone(harm(RATE, change("g", 10.0, 14.0, 2.0))) == "worse"
