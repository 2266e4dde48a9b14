"""Ratings as CSV and back: all of them, once, and nothing that does not fit."""

from pathlib import Path

import pandas as pd
import pytest

from equipoise.errors import DataError, RecipeError, StoreError
from equipoise.rating.pairs import PairSet, RatedPair
from equipoise.rating.rating_file import import_ratings, write_ratings
from equipoise.rating.store import open_for
from rating.making import TUNED, answer_all, pairs, store


@pytest.mark.thorough
def test_there_and_back(tmp_path: Path) -> None:
    opened = store(tmp_path)
    answer_all(opened, "ann", {"3": TUNED})
    file = tmp_path / "ratings.csv"
    assert write_ratings(file, opened) == 22
    (tmp_path / "other").mkdir()
    other = store(tmp_path / "other")
    assert import_ratings(file, other) == (22, 22)
    assert other.ratings() == opened.ratings()
    assert import_ratings(file, other) == (22, 0)
    frame = pd.read_csv(file, dtype=str)
    assert set(frame.query("pair == '3'").prefers) == {TUNED}
    assert set(frame.query("pair != '3'").prefers) == {"neither"}


def test_ids_that_look_like_formulas_come_back(tmp_path: Path) -> None:
    odd = tuple(
        RatedPair(id=id, prompt="The oak", first=" a", second=" b") for id in ("=1+1", "'=x", "-2")
    )
    whole = PairSet(variants=("a", "b"), pairs=odd)
    opened = open_for(tmp_path / "odd.sqlite", whole, mode="pairs", seed=0)
    answer_all(opened, "ann", {})
    file = tmp_path / "ratings.csv"
    write_ratings(file, opened)
    other = open_for(tmp_path / "other.sqlite", whole, mode="pairs", seed=0)
    import_ratings(file, other)
    assert other.ratings() == opened.ratings()


HEADER = "rater,pair,variant,swapped,question,answer\n"


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        ("rater,pair\nann,1\n", DataError, "must have the columns"),
        ("", DataError, "must have rows"),
        (HEADER + "ann,99,both,false,harm,A\n", DataError, "line 2: must name a pair"),
        (HEADER + "ann,1,first,false,harm,A\n", DataError, "must name a variant"),
        (HEADER + "ann,1,both,false,grade,A\n", DataError, "must name a question"),
        (HEADER + "ann,1,both,false,harm,yes\n", DataError, "must be one of A, B, tie"),
        (HEADER + "ann,1,both,perhaps,harm,A\n", DataError, "must have true or false"),
        (HEADER + "=ann,1,both,false,harm,A\n", RecipeError, "a rater must have a name"),
        (HEADER + "ann,1,both,0,harm,A\nann,1,both,0,harm,B\n", StoreError, "answered once"),
    ],
)
def test_what_does_not_fit_is_refused_whole(
    tmp_path: Path, text: str, error: type[Exception], why: str
) -> None:
    opened = store(tmp_path)
    file = tmp_path / "mine.csv"
    file.write_text(text)
    with pytest.raises(error, match=why):
        import_ratings(file, opened)
    assert opened.ratings() == ()


def test_ratings_made_elsewhere(tmp_path: Path) -> None:
    opened = store(tmp_path)
    file = tmp_path / "mine.csv"
    file.write_text(HEADER + "crowd 1,1,both,true,harm,A\ncrowd 2,1,both,false,harm,B\n")
    assert import_ratings(file, opened) == (2, 2)
    first, second = opened.ratings()
    assert (first.swapped, second.swapped, first.repeat) == (True, False, False)
    assert len(pairs().pairs) == 10
