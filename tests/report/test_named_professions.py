"""P(he) and P(she) of named professions: means and intervals over templates, seeds averaged."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from equipoise.conclusions import Comparison
from equipoise.records import Outcome
from equipoise.report.html import study_page
from equipoise.report.named_professions import PROFESSIONS, named_professions

from .making import study


def outcomes(
    he: Mapping[str, float], *, she: float = 0.1, profession: str = "nurse", **more: float
) -> tuple[Outcome, ...]:
    """One for each template, by its P(he)."""
    return tuple(
        Outcome(
            example=f"{profession} {template}",
            values={"he": value, "she": she, **more},
            groups={"profession": profession, "template": template},
        )
        for template, value in he.items()
    )


def compared(before: tuple[Outcome, ...], *afters: tuple[Outcome, ...]) -> Comparison:
    (comparison, *_) = study().chapters[0].comparisons
    return replace(
        comparison,
        before=replace(comparison.before, outcomes=before),
        afters=tuple(replace(comparison.after, outcomes=each) for each in afters),
    )


def test_a_row_is_the_mean_over_templates_and_seeds() -> None:
    comparison = compared(
        outcomes({"a": 0.1, "b": 0.3, "c": 0.2}),
        outcomes({"a": 0.4, "b": 0.6, "c": 0.5}),
        outcomes({"a": 0.2, "b": 0.4, "c": 0.3}),
    )
    drawn = named_professions(comparison)
    assert drawn is not None
    he, she = drawn.rows
    assert (he.profession, he.pronoun, he.n) == ("nurse", "he", 3)
    assert he.before == pytest.approx(0.2)
    assert he.before_low < 0.2 < he.before_high
    assert he.after == pytest.approx(0.4)
    assert (she.before, she.after) == pytest.approx((0.1, 0.1))
    assert she.before_low == pytest.approx(0.1)  # alike after every template
    assert drawn.absent == ("mobster", "preacher", "caretaker", "footballer")
    assert drawn.axis.low == 0.0
    assert he.texts[0].startswith("0.200 [")


def test_templates_that_both_sides_have_count() -> None:
    comparison = compared(outcomes({"a": 0.1, "b": 0.3}), outcomes({"b": 0.2, "c": 0.9}))
    drawn = named_professions(comparison)
    assert drawn is not None
    assert (drawn.rows[0].before, drawn.rows[0].after, drawn.rows[0].n) == (0.3, 0.2, 1)
    assert math.isnan(drawn.rows[0].before_low)  # of a single template
    assert "[" not in drawn.rows[0].texts[0]


@pytest.mark.parametrize(
    "before",
    [
        (),
        outcomes({"a": 0.1}, profession="clerk"),
        outcomes({"a": 0.1}, hint=1.0),
        outcomes({"a": math.nan}),
    ],
)
def test_nothing_is_drawn_of_other_outcomes(before: tuple[Outcome, ...]) -> None:
    assert named_professions(compared(before, before)) is None


def test_the_page_shows_those_that_are_named() -> None:
    known = compared(
        outcomes({"a": 0.1, "b": 0.3}, profession="clerk"),
        outcomes({"a": 0.2, "b": 0.3}, profession="clerk"),
    )
    (chapter, *_) = study().chapters
    shown = replace(study(), chapters=(replace(chapter, comparisons=(known,)),))
    page = study_page(shown, professions=("clerk", "nurse"))
    assert "clerk, she" in page
    assert "Not among the measured items: nurse." in page
    assert "Named professions" not in study_page(shown)
    assert PROFESSIONS[0] == "mobster"
