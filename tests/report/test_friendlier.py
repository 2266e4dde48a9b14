"""Less bias or friendlier text: what two changes and their difference are said to show."""

import html
from dataclasses import replace
from typing import Any

import pytest

from equipoise.conclusions import Halves
from equipoise.report.axis import typeset
from equipoise.report.friendlier import friendlier_sentence, read_halves
from equipoise.report.html import page
from equipoise.report.sentences import verdict_sentence
from equipoise.stats.verdict import halves_of

from .making import CHANGE, comparison, verdict

HALVES = Halves(
    benchmark="stereoset",
    groups=("stereotype is more negative", "stereotype is more positive"),
    first=replace(CHANGE, group={"valence": "stereotype is more negative"}),
    second=replace(CHANGE, group={"valence": "stereotype is more positive"}),
    gap=replace(CHANGE, metric="ss_valence_gap", ideal=None, unit="%"),
)


def half(low: float, high: float, direction: str, halves: Halves, which: str) -> Halves:
    change = replace(
        getattr(halves, which), difference=(low + high) / 2, low=low, high=high,
        direction=direction,
    )  # fmt: skip
    return replace(halves, **{which: change})


@pytest.mark.parametrize(
    ("first", "second", "gap", "reading"),
    [
        ((-9, -5, "reduced"), (3, 7, "worse"), (-14, -8, "changed"), "friendlier"),
        ((3, 7, "worse"), (-9, -5, "reduced"), (8, 14, "changed"), "less friendly"),
        ((-9, -5, "reduced"), (-3, -1, "reduced"), (-9, -2, "changed"), "both"),
        ((-9, -5, "reduced"), (-1, 2, "unchanged"), (-9, -5, "changed"), "like friendlier"),
        ((5, 9, "worse"), (-1, 2, "unchanged"), (5, 9, "changed"), "like less friendly"),
        ((-9, -5, "reduced"), (-8, -5, "reduced"), (-2, 2, "unchanged"), "alike"),
        ((-9, -5, "reduced"), (3, 7, "worse"), (-1, 2, "not comparable"), "unknown"),
    ],
)
def test_readings(first: Any, second: Any, gap: Any, reading: str) -> None:
    halves = HALVES
    for which, (low, high, direction) in (("first", first), ("second", second), ("gap", gap)):
        halves = half(low, high, direction, halves, which)
    assert read_halves(halves) == reading
    assert ("not known" in friendlier_sentence(halves)) == (reading == "unknown")
    # a verdict says what was shown, a comparison in any case
    said = verdict_sentence(verdict(CHANGE, halves=(halves,)))
    assert (friendlier_sentence(halves) in said) == (reading not in ("alike", "unknown"))


def test_sentence() -> None:
    halves = half(-12.1, -5.3, "reduced", HALVES, "first")
    halves = half(2.0, 9.4, "worse", halves, "second")
    halves = half(-19.0, -9.8, "changed", halves, "gap")
    assert friendlier_sentence(halves) == (
        "ss where the stereotype is more negative 65.6 → 52.4 (-8.7 [-12.1, -5.3]), where the "
        "stereotype is more positive 65.6 → 52.4 (+5.70 [2.00, 9.40]), changes that differ by "
        "-14.4 points [-19.0, -9.8]: as an edit that only makes text friendlier moves them apart"
    )


def test_page_says_so() -> None:
    halves = half(-14.0, -8.0, "changed", HALVES, "gap")
    changes = (CHANGE, halves.first, halves.second, halves.gap)
    (read,) = halves_of(comparison(*changes))
    assert read.groups == HALVES.groups
    text = page([comparison(*changes)], title="t")
    assert html.escape(typeset(friendlier_sentence(read))) in text
    assert "friendlier text alone" not in page([comparison(*changes[:3])], title="t")
