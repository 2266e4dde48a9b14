"""Ratings in an SQLite file: a transaction per click, so that no kill loses any.

The file holds what is rated, too, so that results are read from it alone. It is bound to its pairs
by their hash, to a mode and to a seed: another study's ratings never mix in.
"""

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, cast

from pydantic import TypeAdapter

from equipoise.errors import DataError, RecipeError, StoreError
from equipoise.rating.pairs import PairSet, RatedPair
from equipoise.rating.questions import QUESTIONS, Mode, Variant
from equipoise.rating.showings import Showing, plan_showings

SCHEMA: Final = 1
_APPLICATION: Final = 0x4571_5261  # SQLite's application_id: "EqRa"
_BUSY_SECONDS: Final = 10.0
_MOST_NAME: Final = 60
_PAIR = TypeAdapter(RatedPair)
_READ: Final = "BEGIN"  # a transaction that need not wait for writers
_TABLES: Final = """
CREATE TABLE head (name TEXT PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE pairs (place INTEGER PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE raters (
  number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, reverse INTEGER NOT NULL
);
CREATE TABLE ratings (
  number INTEGER PRIMARY KEY AUTOINCREMENT, rater TEXT NOT NULL REFERENCES raters (name),
  pair TEXT NOT NULL, variant TEXT NOT NULL, swapped INTEGER NOT NULL, repeat INTEGER NOT NULL,
  question TEXT NOT NULL, answer TEXT NOT NULL, time TEXT NOT NULL,
  UNIQUE (rater, pair, variant, repeat, question)
);
"""


class ConflictError(StoreError):
    """What was to be rated has another rating by now: another tab of the rater was faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """An answer of a rater, as it was given."""

    rater: str
    pair: str  # its id
    variant: Variant
    swapped: bool  # the second variant's text was A
    repeat: bool
    question: str
    answer: str
    time: str  # UTC, ISO 8601


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a database is bound to."""

    study: str  # sha256 of its pairs
    mode: Mode
    seed: int
    variants: tuple[str, str]
    notes: tuple[str, ...]


_HEAD = TypeAdapter(Head)
_COLUMNS: Final = ", ".join(field.name for field in fields(Rating))
_KEY: Final = "rater = ? AND pair = ? AND variant = ? AND repeat = ? AND question = ?"


class RatingStore:
    """A database of ratings; open it with `open_store` or `open_for`.

    Each call opens the file anew, so that a server's threads and several processes may share it.
    """

    def __init__(self, file: Path, head: Head, pairs: Sequence[RatedPair]) -> None:
        self.file = file
        self.head = head
        self.pairs = tuple(pairs)
        self.pair = {pair.id: pair for pair in pairs}
        # the same for every click
        self.showings = lru_cache(maxsize=64)(self._plan)

    def _plan(self, rater: str) -> tuple[Showing, ...]:
        """What a rater is shown, in order."""
        ids = [pair.id for pair in self.pairs]
        return plan_showings(ids, mode=self.head.mode, rater=rater, seed=self.head.seed)

    def add_rater(self, name: str) -> bool:
        """Enter a rater, if need be; whether the order of answers is reversed for them.

        It is for every other rater in the order in which they come. Raises `RecipeError` for no
        name of 1 to 60 characters that begins with a letter or a digit.
        """
        with _transaction(self.file) as connection:
            _add_rater(connection, name)
            query = "SELECT reverse FROM raters WHERE name = ?"
            return bool(connection.execute(query, (name,)).fetchone()[0])

    def add(self, rating: Rating) -> None:
        """Keep a rating; the same one again changes nothing.

        Raises `ConflictError` where there is another answer to the question.
        """
        with _transaction(self.file) as connection:
            _add(connection, rating)

    def add_all(self, ratings: Iterable[Rating]) -> int:
        """Keep ratings made elsewhere, all or none; how many were new. Raises as `add`."""
        with _transaction(self.file) as connection:
            new = 0
            for rating in ratings:
                _add_rater(connection, rating.rater)
                new += _add(connection, rating)
            return new

    def undo(self, rater: str, number: int) -> None:
        """Take back a rater's last rating, if it has this number; else another tab has done so."""
        query = "SELECT max(number) FROM ratings WHERE rater = ?"
        with _transaction(self.file) as connection:
            # compared here: SQLite takes no number of more than 64 bits, and the page may send any
            if connection.execute(query, (rater,)).fetchone()[0] == number:
                connection.execute("DELETE FROM ratings WHERE number = ?", (number,))

    def last_number(self, rater: str) -> int | None:
        """The number of a rater's last rating; None without any."""
        with _transaction(self.file, _READ) as connection:
            query = "SELECT max(number) FROM ratings WHERE rater = ?"
            return cast(int | None, connection.execute(query, (rater,)).fetchone()[0])

    def ratings(self, rater: str | None = None) -> tuple[Rating, ...]:
        """All ratings, or those of a rater, in the order in which they were given."""
        where, given = ("", ()) if rater is None else ("WHERE rater = ?", (rater,))
        with _transaction(self.file, _READ) as connection:
            query = f"SELECT {_COLUMNS} FROM ratings {where} ORDER BY number"
            rows = connection.execute(query, given).fetchall()
        names = [field.name for field in fields(Rating)]
        cells = (dict(zip(names, row, strict=True)) for row in rows)
        return tuple(
            Rating(**{**row, "swapped": bool(row["swapped"]), "repeat": bool(row["repeat"])})
            for row in cells
        )


def open_for(file: Path, pairs: PairSet, *, mode: Mode, seed: int) -> RatingStore:
    """The database of these pairs, made if there is none.

    Raises `StoreError` for one of another study, mode or seed, and for what is no database.
    """
    head = Head(
        study=pairs.sha256, mode=mode, seed=seed, variants=pairs.variants, notes=pairs.notes
    )
    _create(file, head, pairs.pairs)
    store = open_store(file)
    for what, stored, wanted in (
        ("study", store.head.study[:12], head.study[:12]),
        ("mode", store.head.mode, mode),
        ("seed", store.head.seed, seed),
    ):
        if stored != wanted:
            raise StoreError(
                f"{file} must hold ratings of {what} {wanted}, got those of {what} {stored}; name "
                "another file with --database"
            )
    return store


def open_store(file: Path) -> RatingStore:
    """A database as it is. Raises `StoreError` when it is missing, none, or of another schema."""
    if not file.is_file():
        raise StoreError(f"'{file}' must be a database of ratings, got no file; check the path")
    with _transaction(file, _READ) as connection:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        if (application, schema) != (_APPLICATION, SCHEMA):
            what = f"schema {schema}" if application == _APPLICATION else "another program's"
            raise StoreError(
                f"{file} must be a database of ratings of schema {SCHEMA}, got {what}; name "
                "another file"
            )
        rows = connection.execute("SELECT name, content FROM head").fetchall()
        head = _HEAD.validate_python({name: json.loads(content) for name, content in rows})
        contents = connection.execute("SELECT content FROM pairs ORDER BY place").fetchall()
    pairs = [_PAIR.validate_python(json.loads(content)) for (content,) in contents]
    return RatingStore(file, head, pairs)


def check_rater(name: str) -> str:
    """A name as it is kept: composed, without space at its ends. Raises `RecipeError`."""
    plain = unicodedata.normalize("NFC", " ".join(name.split()))
    if not (len(plain) <= _MOST_NAME and plain.isprintable() and re.match(r"\w", plain)):
        raise RecipeError(
            f"a rater must have a name of 1 to {_MOST_NAME} characters that begins with a letter "
            f"or a digit, got {plain[:_MOST_NAME]!r}; choose such a name"
        )
    return plain


def check_rating(store: RatingStore, rating: Rating, where: str) -> None:
    """Raise `DataError` unless a rating made elsewhere fits this database."""
    questions = {question.name: question for question in QUESTIONS[store.head.mode]}
    variants = ("first", "second") if store.head.mode == "texts" else ("both",)
    known: tuple[tuple[str, str, Iterable[str]], ...] = (
        ("pair", rating.pair, store.pair),
        ("variant", rating.variant, variants),
        ("question", rating.question, questions),
    )
    for what, value, names in known:
        if value not in names:
            raise DataError(
                f"{where}: must name a {what} of {store.file.name}, got '{value[:60]}'; import "
                "ratings of the same pairs and mode"
            )
    if rating.answer not in questions[rating.question].answers:
        raise DataError(
            f"{where}: an answer must be one of {', '.join(questions[rating.question].answers)}, "
            f"got '{rating.answer[:60]}'; correct it"
        )


def now() -> str:
    """The time, in UTC to the second, as ratings keep it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


# --- SQLite -----------------------------------------------------------------------------------


@contextmanager
def _transaction(file: Path, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
    """A connection whose changes are on the disk when the block ends, or none of them."""
    try:
        connection = sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            # on the disk at each commit: not even a power cut loses a click
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(begin)
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()  # what was not committed is undone
    except sqlite3.Error as error:
        raise StoreError(
            f"{file} must be a database that can be read and written, got: {error}; check the "
            "file and its place, or name another with --database"
        ) from error


def _create(file: Path, head: Head, pairs: Sequence[RatedPair]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder of {file}: {error}; choose another") from error
    with _transaction(file) as connection:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return  # made before, or by another program
        for statement in _TABLES.strip().removesuffix(";").split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
        # in ASCII, for SQLite keeps no half surrogate pairs
        rows = [(name, json.dumps(content)) for name, content in asdict(head).items()]
        connection.executemany("INSERT INTO head VALUES (?, ?)", rows)
        contents = [(place, json.dumps(asdict(pair))) for place, pair in enumerate(pairs)]
        connection.executemany("INSERT INTO pairs VALUES (?, ?)", contents)
    with closing(sqlite3.connect(file)) as connection:
        # kept in the file; readers and the writer do not wait for one another
        connection.execute("PRAGMA journal_mode = WAL")


def _add_rater(connection: sqlite3.Connection, name: str) -> None:
    check_rater(name)
    connection.execute(
        "INSERT INTO raters (name, reverse) SELECT ?, (SELECT count(*) % 2 FROM raters) "
        "WHERE NOT EXISTS (SELECT 1 FROM raters WHERE name = ?)",
        (name, name),
    )


def _add(connection: sqlite3.Connection, rating: Rating) -> bool:
    """Whether the rating is new."""
    key = (rating.rater, rating.pair, rating.variant, rating.repeat, rating.question)
    kept = connection.execute(f"SELECT answer, swapped FROM ratings WHERE {_KEY}", key).fetchone()
    if kept is not None:
        if kept == (rating.answer, rating.swapped):
            return False
        raise ConflictError(
            f"'{rating.question}' must be answered once, got '{rating.answer}' where "
            f"'{kept[0]}' was kept before; undo that first"
        )
    marks = ", ".join("?" * len(fields(Rating)))
    connection.execute(f"INSERT INTO ratings ({_COLUMNS}) VALUES ({marks})", astuple(rating))
    return True
