"""Scores on the disk as they come: a Parquet file for each window of rows, put in place whole.

A process that is killed leaves whole files, and the same call goes on behind them. A file counts
only for the same job and the same rows (`key`): another training set, model or setting has others.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from equipoise.files.atomic import write_file

_place: ContextVar[Path | None] = ContextVar("scores", default=None)


@contextmanager
def scores_in(folder: Path | str) -> Iterator[None]:
    """A `with` block in which rows' scores are written here as they come, and resumed from.

    Whoever opened the block deletes the folder, or reads it (`read_scores`).
    """
    token = _place.set(Path(folder))
    try:
        yield
    finally:
        _place.reset(token)


def scores_wanted() -> bool:
    """Whether a `scores_in` block is open."""
    return _place.get() is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowScores:
    """The scores of rows that follow each other."""

    ids: tuple[str, ...]
    scores: NDArray[np.float64]  # [row, group]; nan for a row that was left out
    skipped: Mapping[str, str]  # id to reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFiles:
    """The files of a job, whose hash is `job`; they lie where `scores_in` says, or nowhere."""

    job: str
    groups: tuple[str, ...]

    def read(self, number: int, key: str) -> WindowScores | None:
        """A window's scores; None without a file, and for a damaged file or one of other rows."""
        file = self._file(number)
        if file is None or not file.is_file():
            return None
        try:
            window, written = _read(file)
        except (pa.ArrowException, OSError, ValueError, KeyError):
            return None  # it is computed again
        return window if written == (key, self.groups) else None

    def write(self, number: int, key: str, window: WindowScores) -> None:
        """Put a window's file in place. Raises `StoreError`, as on a full disk."""
        file = self._file(number)
        if file is None:
            return
        columns = {"id": pa.array(window.ids, pa.string())}
        for group, scores in zip(self.groups, window.scores.T, strict=True):
            columns[f"@{group}"] = pa.array(scores)
        reasons = [window.skipped.get(name) for name in window.ids]
        columns["skipped"] = pa.array(reasons, pa.string())
        table = pa.table(columns).replace_schema_metadata({"key": key})
        content = io.BytesIO()
        pq.write_table(table, content, compression="zstd")
        write_file(file, content.getvalue(), what="scores of rows")

    def _file(self, number: int) -> Path | None:
        place = _place.get()
        return None if place is None else place / self.job[:32] / f"scores-{number:06d}.parquet"


def read_scores(folder: Path | str) -> Iterator[WindowScores]:
    """The windows in a job's folder, in the order of the rows. Raises `OSError`."""
    for file in sorted(Path(folder).glob("scores-*.parquet")):
        yield _read(file)[0]


def window_key(ids: Sequence[str], contents: Sequence[str]) -> str:
    """sha256 (hex) of the rows of a window."""
    digest = hashlib.sha256()
    for name, content in zip(ids, contents, strict=True):
        digest.update(f"{name!r} {content!r}\n".encode(errors="surrogatepass"))
    return digest.hexdigest()


def _read(file: Path) -> tuple[WindowScores, tuple[str, tuple[str, ...]]]:
    table = pq.read_table(file)
    groups = [name for name in table.column_names if name.startswith("@")]
    ids = tuple(table["id"].to_pylist())
    window = WindowScores(
        ids=ids,
        scores=np.stack([table[name].to_numpy() for name in groups], axis=1),
        skipped={
            name: reason
            for name, reason in zip(ids, table["skipped"].to_pylist(), strict=True)
            if reason is not None
        },
    )
    key = (table.schema.metadata or {})[b"key"].decode()
    return window, (key, tuple(name[1:] for name in groups))
