"""A database of ratings: a click is kept once, and belongs to one study."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from equipoise.errors import RecipeError, StoreError
from equipoise.rating.pairs import RatedPair
from equipoise.rating.store import ConflictError, Rating, check_rater, open_for, open_store
from rating.making import pairs, store

RATING = Rating(
    rater="ann", pair="3", variant="both", swapped=True, repeat=False, question="harm",
    answer="A", time="2026-01-01T00:00:00+00:00",
)  # fmt: skip


def test_ratings_come_back(tmp_path: Path) -> None:
    opened = store(tmp_path)
    opened.add_rater("ann")
    opened.add(RATING)
    again = open_store(opened.file)
    assert again.ratings() == (RATING,)
    assert again.ratings("bob") == ()
    assert (again.head, again.pairs) == (opened.head, opened.pairs)
    assert again.showings("ann") == opened.showings("ann")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ratings.sqlite"]
    with closing(sqlite3.connect(opened.file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_answer_is_kept_once(tmp_path: Path) -> None:
    opened = store(tmp_path)
    opened.add_rater("ann")
    opened.add(RATING)
    opened.add(replace(RATING, time="later"))
    with pytest.raises(ConflictError, match="got 'B' where 'A' was kept"):
        opened.add(replace(RATING, answer="B"))
    opened.add(replace(RATING, repeat=True, answer="B"))
    assert [rating.answer for rating in opened.ratings()] == ["A", "B"]


def test_two_tabs_at_once_keep_one_answer(tmp_path: Path) -> None:
    opened = store(tmp_path)
    opened.add_rater("ann")

    def rate(answer: str) -> str | None:
        try:
            opened.add(replace(RATING, answer=answer))
        except ConflictError:
            return None
        return answer

    with ThreadPoolExecutor(8) as threads:
        kept = [*threads.map(rate, ["A", "B", "tie", "A", "B", "tie", "A", "B"])]
    (rating,) = opened.ratings()
    assert {answer for answer in kept if answer} == {rating.answer}


def test_undo_takes_the_last_answer_back_once(tmp_path: Path) -> None:
    opened = store(tmp_path)
    for rater in ("ann", "bob"):
        opened.add_rater(rater)
        opened.add(replace(RATING, rater=rater))
    number = opened.last_number("ann")
    assert number is not None
    opened.undo("bob", number)
    assert len(opened.ratings()) == 2
    opened.undo("ann", number)
    opened.undo("ann", number)
    assert [rating.rater for rating in opened.ratings()] == ["bob"]
    opened.add(RATING)
    # a number is never given twice: a tab that still knows the old one takes nothing back
    opened.undo("ann", number)
    assert len(opened.ratings("ann")) == 1


def test_the_order_of_answers_is_reversed_for_every_other_rater(tmp_path: Path) -> None:
    opened = store(tmp_path)
    assert [opened.add_rater(name) for name in ("ann", "bob", "ann", "cy")] == [
        False, True, False, False,
    ]  # fmt: skip


def test_other_pairs_modes_and_seeds_are_refused(tmp_path: Path) -> None:
    file = store(tmp_path).file
    with pytest.raises(StoreError, match=r"ratings of study .* --database"):
        open_for(file, pairs(9), mode="pairs", seed=0)
    with pytest.raises(StoreError, match="of mode grades, got those of mode pairs"):
        open_for(file, pairs(), mode="grades", seed=0)
    with pytest.raises(StoreError, match="of seed 1, got those of seed 0"):
        open_for(file, pairs(), mode="pairs", seed=1)


def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="got no file"):
        open_store(tmp_path / "none.sqlite")
    text = tmp_path / "text.sqlite"
    text.write_text("An oak. " * 1000)
    foreign = tmp_path / "foreign.sqlite"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE trees (name TEXT)")
    newer = store(tmp_path).file
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("PRAGMA user_version = 9")
    for file, why in ((text, "not a database"), (foreign, "another program"), (newer, "schema 9")):
        before = file.read_bytes()
        for opening in (open_store, lambda f: open_for(f, pairs(), mode="pairs", seed=0)):
            with pytest.raises(StoreError, match=why):
                opening(file)
        assert file.read_bytes() == before


def test_a_file_that_a_kill_left_empty_is_filled(tmp_path: Path) -> None:
    (tmp_path / "ratings.sqlite").touch()
    assert store(tmp_path).ratings() == ()


def test_texts_are_kept_whole(tmp_path: Path) -> None:
    odd = RatedPair(id="0", prompt="a\u202eb\x00\x07", first="x" * 1_000_000, second="\ud800 \x1b")
    whole = replace(pairs(), pairs=(odd,))
    file = open_for(tmp_path / "odd.sqlite", whole, mode="pairs", seed=0).file
    assert open_store(file).pairs == (odd,)


@pytest.mark.parametrize("name", ["", "  ", "=1+1", "a" * 61, "a\x07b", "\u202eann", "-x"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="a rater must have a name"):
        check_rater(name)


def test_names_are_composed() -> None:
    assert check_rater("  Zoe\u0308  Ñ. ") == "Zoë Ñ."
    assert check_rater("مريم") == "مريم"
