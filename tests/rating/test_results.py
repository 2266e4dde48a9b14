"""What ratings say, by hand: preferences by prompt, agreement, habits, automatic scores."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from equipoise.rating.page_state import keep_answer, state_of
from equipoise.rating.questions import Mode
from equipoise.rating.results import QuestionResult, RatingResults, summarize_ratings
from equipoise.rating.results_table import results_text
from equipoise.rating.store import Rating, RatingStore, now, open_for
from rating.making import BASE, TUNED, answer_all, pairs, store

#: Eight of ten pairs for the tuned model, one for the base, one a tie.
ANN = {**{str(k): TUNED for k in range(8)}, "8": BASE}
#: The same but for two pairs.
BOB = {**ANN, "0": BASE, "1": "neither"}


def rate(opened: RatingStore, rater: str, better: dict[str, str]) -> None:
    answer_all(opened, rater, {pair: v for pair, v in better.items() if v in (BASE, TUNED)})


def harm(opened: RatingStore) -> QuestionResult:
    return summarize_ratings(opened, draws=200).questions[0]


def give(opened: RatingStore, rater: str, question: str, answers: dict[tuple[str, str], str],
         *, swapped: bool = False) -> None:  # fmt: skip
    """Answers by pair and variant."""
    opened.add_all(
        Rating(
            rater=rater, pair=pair, variant=variant, swapped=swapped, repeat=False,
            question=question, answer=answer, time=now(),
        )  # type: ignore[arg-type]
        for (pair, variant), answer in answers.items()
    )  # fmt: skip


@pytest.mark.thorough
def test_preferences_of_a_single_rater(tmp_path: Path) -> None:
    opened = store(tmp_path)
    rate(opened, "ann", ANN)
    summary = summarize_ratings(opened)
    assert summary.progress == {"ann": (22, 22)}
    for result in summary.questions:
        assert result.counts == {"preferred": {BASE: 1, TUNED: 8, "neither": 1}}
        assert result.preferred is not None
        assert (result.preferred.wins, result.preferred.losses, result.preferred.ties) == (8, 1, 1)
        assert result.preferred.p == pytest.approx(2 * 10 / 512)
        assert result.preferred.share.value == pytest.approx(8 / 9)
        # group b has the pairs 1, 3, 5, 7, all for the tuned, and 9, a tie
        assert result.groups["group b"].wins == 4
        assert result.groups["group b"].ties == 1
        assert math.isnan(result.kappa.value)
        assert result.kappa.reason == "agreement needs 2 raters, there are 1"
        assert (result.repeated.value, result.repeated.n) == (1, 1)
        assert result.side is not None
        assert result.side.n == 9
        # the base's score is the higher one in every pair
        assert result.automatic["toxicity"].value == pytest.approx(8 / 9)


@pytest.mark.thorough
def test_a_prompt_is_a_unit_whatever_samples_it_has(tmp_path: Path) -> None:
    alike = tuple(replace(pair, prompt="The oak is") for pair in pairs().pairs)
    whole = replace(pairs(), pairs=alike)
    opened = open_for(tmp_path / "one.sqlite", whole, mode="pairs", seed=0)
    rate(opened, "ann", ANN)
    assert harm(opened).preferred is not None
    assert harm(opened).preferred.share.n == 1  # type: ignore[union-attr]
    without = replace(whole, pairs=tuple(replace(pair, prompt=" ") for pair in alike))
    apart = open_for(tmp_path / "none.sqlite", without, mode="pairs", seed=0)
    rate(apart, "ann", ANN)
    assert harm(apart).preferred.share.n == 9  # type: ignore[union-attr]


def test_scores_are_those_of_the_pairs_that_were_rated(tmp_path: Path) -> None:
    first, second, *_ = pairs().pairs
    whole = replace(
        pairs(),
        pairs=(
            replace(first, prompt="The oak is", scores={"toxicity": (1.0, 0.0)}),
            replace(second, prompt="The oak is", scores={"toxicity": (0.0, 9.0)}),
        ),
    )
    opened = open_for(tmp_path / "few.sqlite", whole, mode="pairs", seed=0)
    opened.add(
        Rating(
            rater="ann", pair=first.id, variant="both", swapped=False, repeat=False,
            question="harm", answer="B", time=now(),
        )
    )  # fmt: skip
    assert harm(opened).automatic["toxicity"].value == 1, "the other sample was not looked at"


@pytest.mark.thorough
def test_agreement_of_two_raters(tmp_path: Path) -> None:
    opened = store(tmp_path)
    rate(opened, "ann", ANN)
    rate(opened, "bob", BOB)
    result = harm(opened)
    # alike in 8 of 10; of the tuned 8 and 6, of the base 1 and 2, of neither 1 and 2
    chance = (8 * 6 + 1 * 2 + 1 * 2) / 100
    assert result.coefficient == "Cohen's kappa"
    assert result.kappa.value == pytest.approx((0.8 - chance) / (1 - chance))
    assert result.kappa.n == 10
    # of pair 0 the two cancel out, of pair 1 ann is left alone
    assert (result.preferred.wins, result.preferred.ties) == (7, 2)  # type: ignore[union-attr]


@pytest.mark.thorough
def test_agreement_of_more_raters(tmp_path: Path) -> None:
    opened = store(tmp_path)
    for rater, better in (("ann", ANN), ("bob", BOB), ("cy", ANN)):
        rate(opened, rater, better)
    result = harm(opened)
    shares = np.array([22, 4, 4]) / 30
    agreeing = (8 + 2 / 3) / 10
    assert result.coefficient == "Fleiss' kappa"
    assert result.kappa.value == pytest.approx((agreeing - sum(shares**2)) / (1 - sum(shares**2)))


def test_reasons_for_no_kappa(tmp_path: Path) -> None:
    opened = store(tmp_path)
    give(opened, "ann", "harm", {("0", "both"): "A"})
    give(opened, "bob", "harm", {("1", "both"): "A"})
    kappa = harm(opened).kappa
    assert (kappa.n, kappa.reason) == (0, "no two raters have rated the same")
    give(opened, "bob", "harm", {("0", "both"): "A"})
    kappa = harm(opened).kappa
    assert math.isnan(kappa.value)
    assert kappa.reason == "all raters always give one and the same answer"


@pytest.mark.thorough
def test_repeats_and_habits(tmp_path: Path) -> None:
    opened = store(tmp_path)
    while (state := state_of(opened, "ann"))["position"] != state["total"]:
        showing = opened.showings("ann")[int(str(state["position"]))]
        answer = "B" if showing.repeat else "A"
        keep_answer(opened, "ann", state["position"], state["question"], answer)
    result = harm(opened)
    assert (result.repeated.value, result.repeated.n) == (0, 1)
    assert result.repeated_by_chance == pytest.approx((10**2 + 1) / 11**2)
    assert result.side is not None
    assert (result.side.value, result.side.n) == (1, 10)


def test_grades_stand_by_what_was_beside_what(tmp_path: Path) -> None:
    opened = store(tmp_path, mode="grades")
    give(opened, "ann", "grade", {("0", "both"): "significant", ("1", "both"): "none"})
    give(opened, "ann", "grade", {("2", "both"): "somewhat", ("3", "both"): "not"}, swapped=True)
    give(opened, "bob", "grade", {("0", "both"): "significant", ("1", "both"): "not"})
    give(opened, "bob", "grade", {("2", "both"): "somewhat"})
    result = harm(opened)
    assert result.counts == {
        f"{TUNED} beside {BASE}": {"significant": 2, "somewhat": 1, "not": 1, "none": 1},
        f"{BASE} beside {TUNED}": {"significant": 0, "somewhat": 1, "not": 1, "none": 0},
    }
    assert result.preferred is not None
    # pair 2 was found better from both sides
    assert (result.preferred.wins, result.preferred.losses, result.preferred.ties) == (1, 0, 3)
    assert result.side is None
    assert result.kappa.n == 2, "grades of other orders are not compared"


def test_single_texts_are_compared_within_a_rater(tmp_path: Path) -> None:
    opened = store(tmp_path, mode="texts")
    harmful = {("0", "first"): "yes", ("0", "second"): "no", ("1", "first"): "yes",
               ("2", "first"): "no", ("2", "second"): "unsure"}  # fmt: skip
    give(opened, "ann", "harmful", harmful)  # type: ignore[arg-type]
    true = {("0", "first"): "no", ("2", "first"): "yes"}
    give(opened, "ann", "true_pattern", true)
    first, second = summarize_ratings(opened).questions
    assert first.counts == {
        BASE: {"yes": 2, "no": 1, "unsure": 0}, TUNED: {"yes": 0, "no": 1, "unsure": 1},
    }  # fmt: skip
    assert first.preferred is not None
    assert (first.preferred.wins, first.preferred.ties) == (1, 1)
    assert second.preferred is None
    assert second.counts["of texts called harmful"] == {"yes": 0, "no": 1, "unsure": 0}


@pytest.mark.parametrize("mode", ["pairs", "grades", "texts"])
def test_nothing_rated_is_nan_with_reasons(tmp_path: Path, mode: Mode) -> None:
    summary = summarize_ratings(store(tmp_path, mode=mode))
    for result in summary.questions:
        assert math.isnan(result.kappa.value)
        assert result.repeated.reason == "nothing was rated twice by now"
        if result.preferred is not None:
            assert math.isnan(result.preferred.p)
            assert result.preferred.share.reason
    assert "n/a" in results_text(summary, groups=True)


def test_a_rater_at_random_finds_a_preference_in_a_twentieth(tmp_path: Path) -> None:
    """Sides are by lot, so that who always says A prefers nobody."""
    opened = store(tmp_path, count=30)
    significant: list[float] = []
    for k in range(60):
        showings = opened.showings(f"rater {k}")
        signs = [1 if showing.swapped else -1 for showing in showings if not showing.repeat]
        significant.append(abs(sum(signs)) > 11)  # two-sided p below 0.05 for 30 of them
    assert np.mean(significant) <= 0.12


@pytest.mark.thorough
def test_the_text_names_everything(tmp_path: Path) -> None:
    opened = store(tmp_path)
    rate(opened, "ann", ANN)
    summary: RatingResults = summarize_ratings(opened)
    text = results_text(summary, groups=True)
    for words in ("10 pairs of base (first) and tuned (second)", "ann: 22 of 22 answers",
                  "1 ties, sign test p 0.039", "lower toxicity", "group b", "text A"):  # fmt: skip
        assert words in text
    assert "oak" not in text
