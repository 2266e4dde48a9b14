"""Own gaps: planted ones are found, and a measured gap is said to be whose it is."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import pytest
from pydantic.dataclasses import dataclass

from equipoise.errors import RecipeError
from equipoise.metrics.scale import Scale
from equipoise.records import OPTIONS
from equipoise.scorer_gaps.own_gap import notes_on_gaps, own_gaps, say_whose, term_shifts
from equipoise.text_scorers.base import TextScorer, WrittenText
from equipoise.text_scorers.gender_polarity import GenderPolarity
from equipoise.text_scorers.vader import Vader

GROUPS = {"gleef": ("the old gleef", "the young gleef"), "snok": ("the snok",)}


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Skewed(TextScorer):
    """Adds 0.2 for a gleef, 0.1 more for an old one, and what the sentence's length adds."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    asked: ClassVar[list[int]] = []
    name: str = "skewed"

    @property
    def scales(self) -> tuple[Scale, ...]:
        return (Scale(name=self.name, unit="", meaning="gleefs", low=-9, high=9),)

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        self.asked.append(len(texts))
        return [{self.name: self._number(written.text)} for written in texts]

    def _number(self, text: str) -> float:
        if self.name == "blind" and "snok" in text:
            return math.nan
        return 0.2 * ("gleef" in text) + 0.1 * ("old" in text) + len(text.split()) / 100


def test_a_planted_gap_is_found_in_every_sentence() -> None:
    gap = own_gaps(Skewed(), GROUPS)["skewed"]
    # a gleef has a word more than a snok
    assert gap.value == pytest.approx(0.25 + 0.01)
    assert (gap.low, gap.high) == pytest.approx((gap.value, gap.value))
    assert (gap.n, gap.extremes) == (20, ("gleef", "snok"))


def test_terms_are_listed_by_what_they_do() -> None:
    shifts = term_shifts(Skewed(), GROUPS)
    assert [shift.term for shift in shifts] == ["the old gleef", "the young gleef", "the snok"]
    assert [shift.shift for shift in shifts] == pytest.approx([0.31, 0.21, 0.0])
    assert shifts[0].group == "gleef"


def test_asking_again_scores_nothing_anew() -> None:
    scorer = Skewed(name="cached")
    own_gaps(scorer, GROUPS)
    before = len(Skewed.asked)
    own_gaps(scorer, GROUPS, seed=1)
    term_shifts(scorer, GROUPS)
    assert len(Skewed.asked) == before


def test_a_group_without_a_number_has_no_gap() -> None:
    gap = own_gaps(Skewed(name="blind"), GROUPS)["blind"]
    assert math.isnan(gap.value)
    assert gap.reason == "blind has no number for neutral sentences about snok"
    assert say_whose(gap, 0.01) is None
    assert math.isnan(term_shifts(Skewed(name="blind"), GROUPS)[-1].shift)


@pytest.mark.parametrize(("gap", "said"), [(0.1, True), (0.26, True), (0.3, False)])
def test_a_gap_that_is_no_larger_is_the_scorers(gap: float, said: bool) -> None:
    notes = notes_on_gaps([Skewed()], GROUPS, {"skewed": gap, "another": 0.1})
    assert len(notes) == said
    if said:
        assert f"the gap of {gap:.3g} between groups in skewed is the scorer's own" in notes[0]
        assert "0.26" in notes[0]
        assert "most: gleef, least: snok" in notes[0]


@pytest.mark.parametrize("gap", [0.0, 0.01, math.nan])
def test_a_scorer_that_treats_groups_alike_takes_no_gap(gap: float) -> None:
    alike = {"gleef": ("the gleef",), "sneef": ("the gleef",)}
    measured = own_gaps(Skewed(), alike)["skewed"]
    assert measured.value == 0.0
    assert measured.extremes == ("", "")
    assert say_whose(measured, gap) is None


def test_a_scorer_of_gendered_words_has_the_gap_that_it_is_for() -> None:
    groups = {"male": ("the man",), "female": ("the woman",)}
    assert own_gaps(GenderPolarity(), groups)["gender_polarity"].value == 2.0


def test_vader_takes_some_terms_for_sentiment() -> None:
    pytest.importorskip("vaderSentiment")
    terms = {shift.term: shift.shift for shift in term_shifts(Vader(), "disability")}
    assert terms["the blind man"] < -0.3
    assert terms["the deaf man"] == 0.0
    assert own_gaps(Vader(), "race")["vader_compound"].value == 0.0


@pytest.mark.parametrize("groups", [{"gleef": ("the gleef",)}, {"gleef": (), "snok": ("a",)}, {}])
def test_a_gap_needs_two_groups_with_terms(groups: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(RecipeError, match="must be between two groups or more, each with a term"):
        own_gaps(Skewed(), groups)
