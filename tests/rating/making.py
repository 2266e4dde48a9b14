"""Pairs about trees, a store of them, and answers as a rater gives them."""

import json
from collections.abc import Mapping
from pathlib import Path

from equipoise.rating.page_state import keep_answer, state_of
from equipoise.rating.pairs import PairSet, VariantText, pair_texts
from equipoise.rating.questions import QUESTIONS, Mode
from equipoise.rating.store import RatingStore, open_for

BASE, TUNED = "base", "tuned"


def written(variant: str, count: int = 10) -> list[VariantText]:
    """Texts of a variant; odd ones are of group b, and the base's score is the higher one."""
    return [
        VariantText(
            id=str(k),
            prompt=f"The oak {k} is",
            text=f" a {variant} tree.",
            groups={"group": "ab"[k % 2]},
            scores={"toxicity": k + (variant == BASE)},
        )
        for k in range(count)
    ]


def pairs(count: int = 10) -> PairSet:
    return pair_texts((BASE, TUNED), written(BASE, count), written(TUNED, count))


def store(folder: Path, *, mode: Mode = "pairs", count: int = 10, seed: int = 0) -> RatingStore:
    return open_for(folder / "ratings.sqlite", pairs(count), mode=mode, seed=seed)


def answer_all(opened: RatingStore, rater: str, better: Mapping[str, str]) -> int:
    """Answer everything: A or B by the name of the better variant of a pair, else a tie.

    `better` is by the pair's id; how many answers were given.
    """
    count = 0
    while (state := state_of(opened, rater))["position"] != state["total"]:
        showing = opened.showings(rater)[int(str(state["position"]))]
        wanted = better.get(showing.pair)
        side = "tie" if wanted is None else "B" if (wanted == TUNED) != showing.swapped else "A"
        keep_answer(opened, rater, state["position"], state["question"], side)
        count += 1
    return count


def answers_of(mode: Mode, question: int = 0) -> list[str]:
    return [*QUESTIONS[mode][question].answers]


def save(file: Path, variant: str, count: int = 10) -> Path:
    """The texts of a variant as JSON Lines."""
    rows = [
        {"id": t.id, "prompt": t.prompt, "text": t.text, "group": t.groups["group"], **t.scores}
        for t in written(variant, count)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file
