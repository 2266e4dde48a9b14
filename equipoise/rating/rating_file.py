"""Ratings as a CSV file, and back: to be kept, analyzed elsewhere, or made elsewhere."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Final, cast

import pandas as pd

from equipoise.data.documents import read_content
from equipoise.errors import DataError
from equipoise.export.export import csv_text
from equipoise.files.atomic import write_file
from equipoise.files.rows import FileRow, columns_of, read_rows, show_columns
from equipoise.rating.questions import Variant, preference
from equipoise.rating.results import NEITHER
from equipoise.rating.store import Rating, RatingStore, check_rater, check_rating, now

_COLUMNS: Final = tuple(field.name for field in fields(Rating))
_NEEDED: Final = tuple(name for name in _COLUMNS if name not in ("repeat", "time"))
_TRUTH: Final = {"true": True, "false": False, "1": True, "0": False}


def write_ratings(file: Path, store: RatingStore) -> int:
    """Write every rating, a row each; how many there are. Raises `StoreError`.

    `prefers` names the variant that an answer prefers, or "neither"; of single texts it is empty.
    """
    ratings = store.ratings()
    frame = pd.DataFrame(
        [{**asdict(rating), "prefers": _prefers(store, rating)} for rating in ratings],
        columns=[*_COLUMNS, "prefers"],
    )
    write_file(file, csv_text(frame), what="ratings")
    return len(ratings)


def import_ratings(file: Path, store: RatingStore) -> tuple[int, int]:
    """Add the ratings of a file, all or none; how many it has, and how many of them are new.

    It has the columns that `write_ratings` writes; without "repeat" nothing is one, without "time"
    the time is now. Raises `DataError` naming the row, and `StoreError` where a question has
    another answer already.
    """
    content, use = read_content(str(file))
    rows = read_rows(content, use.name)
    missing = [name for name in _NEEDED if name not in columns_of(rows)]
    if missing:
        raise DataError(
            f"{use.name} must have the columns {show_columns(_NEEDED)}, got none of the name "
            f"'{missing[0]}'; add it"
        )
    ratings = [_read_rating(row, store) for row in rows]
    return len(ratings), store.add_all(ratings)


def _prefers(store: RatingStore, rating: Rating) -> str:
    if rating.variant != "both":
        return ""
    value = preference(rating.question, rating.answer, swapped=rating.swapped)
    return {-1: store.head.variants[0], 1: store.head.variants[1], 0: NEITHER}[value]


def _read_rating(row: FileRow, store: RatingStore) -> Rating:
    cells = {name: row.label(name) or "" for name in _COLUMNS}
    pair = cells["pair"]
    # the apostrophe before what a spreadsheet would take for a formula
    if pair not in store.pair and pair.startswith("'"):
        pair = pair[1:]
    rating = Rating(
        rater=check_rater(cells["rater"]),
        pair=pair,
        variant=cast(Variant, cells["variant"]),
        swapped=_read_truth(cells["swapped"], row),
        repeat=_read_truth(cells["repeat"] or "false", row),
        question=cells["question"],
        answer=cells["answer"],
        time=cells["time"] or now(),
    )
    check_rating(store, rating, row.where)
    return rating


def _read_truth(text: str, row: FileRow) -> bool:
    if text.lower() not in _TRUTH:
        raise DataError(f"{row.where}: must have true or false, got '{text[:40]}'; correct it")
    return _TRUTH[text.lower()]
