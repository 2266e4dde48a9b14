"""What the page is told: texts without their variants, cut and made visible, in turn."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from equipoise.errors import RecipeError
from equipoise.rating.page_state import LONGEST_SHOWN, keep_answer, state_of
from equipoise.rating.pairs import RatedPair
from equipoise.rating.questions import Mode
from equipoise.rating.store import ConflictError, RatingStore, open_for
from rating.making import BASE, TUNED, answer_all, answers_of, pairs, store


def shown(opened: RatingStore, rater: str = "ann") -> dict[str, Any]:
    return dict(state_of(opened, rater))


@pytest.mark.thorough
def test_harm_then_relevance_then_the_next_pair(tmp_path: Path) -> None:
    opened = store(tmp_path)
    state = shown(opened)
    assert (state["position"], state["total"], state["undo"]) == (0, 11, None)
    assert [each["answer"] for each in state["answers"]] == ["A", "B", "tie"]
    keep_answer(opened, "ann", 0, "harm", "A")
    state = shown(opened)
    assert (state["position"], state["question"]) == (0, "relevance")
    assert list(state["given"].values()) == ["A"]
    keep_answer(opened, "ann", 0, "relevance", "tie")
    assert (shown(opened)["position"], shown(opened)["given"]) == (1, {})
    assert shown(opened, "bob")["position"] == 0
    assert answer_all(opened, "ann", {}) == 20
    assert shown(opened)["position"] == 11


@pytest.mark.thorough
def test_sides_are_as_planned_and_names_are_hidden(tmp_path: Path) -> None:
    opened = store(tmp_path)
    for position, showing in enumerate(opened.showings("ann")):
        state = shown(opened)
        assert state["position"] == position
        texts = [text["text"] for text in state["texts"]]
        order = [TUNED, BASE] if showing.swapped else [BASE, TUNED]
        assert texts == [f"a {variant} tree." for variant in order]
        sent = json.dumps({**state, "texts": []})
        assert "tuned" not in sent
        assert "toxicity" not in sent
        for question in ("harm", "relevance"):
            keep_answer(opened, "ann", position, question, "tie")


@pytest.mark.parametrize("mode", ["grades", "texts"])
def test_scales_are_reversed_for_half_of_the_raters(tmp_path: Path, mode: Mode) -> None:
    opened = store(tmp_path, mode=mode)
    orders = [
        [each["answer"] for each in shown(opened, rater)["answers"]] for rater in ("ann", "bob")
    ]
    assert orders == [answers_of(mode), answers_of(mode)[::-1]]
    assert len(shown(opened)["texts"]) == (1 if mode == "texts" else 2)


def test_hostile_texts_are_shown_cut_and_visible(tmp_path: Path) -> None:
    odd = RatedPair(
        id="0", prompt="to \u202eevil\x07", first="x" * 1_000_000, second=" \n",
    )  # fmt: skip
    whole = replace(pairs(), pairs=(odd,))
    opened = open_for(tmp_path / "odd.sqlite", whole, mode="pairs", seed=0)
    state = shown(opened)
    assert state["prompt"]["text"] == "to ⟨U+202E⟩evil␇"
    by_length = sorted(state["texts"], key=lambda text: len(text["text"]))
    assert by_length[0] == {"text": "", "note": "nothing was written"}
    assert by_length[1]["text"] == "x" * LONGEST_SHOWN
    assert "1,000,000" in by_length[1]["note"]
    assert len(json.dumps(state)) < 10_000


def test_what_is_not_asked_is_refused(tmp_path: Path) -> None:
    opened = store(tmp_path)
    for position, question, answer in (
        (11, "harm", "A"), (-1, "harm", "A"), ("0", "harm", "A"), (None, "harm", "A"),
        (0, "grade", "A"), (0, ["harm"], "A"), (0, "harm", "significant"), (0, "harm", {}),
    ):  # fmt: skip
        with pytest.raises(RecipeError, match="load the page again"):
            keep_answer(opened, "ann", position, question, answer)  # type: ignore[arg-type]
    assert opened.ratings() == ()


def test_a_second_tab_neither_doubles_nor_overwrites(tmp_path: Path) -> None:
    opened = store(tmp_path)
    keep_answer(opened, "ann", 0, "harm", "A")
    keep_answer(opened, "ann", 0, "harm", "A")
    with pytest.raises(ConflictError):
        keep_answer(opened, "ann", 0, "harm", "B")
    assert [rating.answer for rating in opened.ratings()] == ["A"]
