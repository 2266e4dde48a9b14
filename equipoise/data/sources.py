"""Source: a data file, located, checked and read the same way wherever it lies.

Order: the data folders (`data_folders`: that named by the user or by a planted model, then the
folder that `EQUIPOISE_DATA` names), then a cached copy under `EQUIPOISE_CACHE`
(`~/.cache/equipoise` by default), then a download from a pinned address. What was downloaded
must be the official file; a file of the user's own may be another, and is recorded as such.
"""

import csv
import hashlib
import io
import os
import re
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from equipoise.errors import DataError
from equipoise.files.atomic import write_file
from equipoise.files.cache import cache_folder
from equipoise.files.parsing import decode, parse_json, unpack
from equipoise.records import JSON, DataUse

REMEDY: Final = "fix the file, or put the official file in its place"
#: The licence of a file that is not the official file.
OWN_LICENCE: Final = "not known: a file of the user's own"

_NAMED: ContextVar[Path | None] = ContextVar("named_data_folder", default=None)
_FETCHING: ContextVar[bool] = ContextVar("fetching", default=True)

_GITHUB = re.compile(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/([^/]+)/")
_TIMEOUT = 60  # seconds without a byte before a download is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table, by column name."""

    where: str  # as errors call it: "glue/RTE/dev.tsv, line 2", the last of several lines
    values: Mapping[str, str]

    def text(self, column: str) -> str:
        """A text that is not blank, with its white space; `DataError` for a blank text."""
        if not self.values[column].strip():
            raise DataError(f"{self.where}: column '{column}' must have a text; {REMEDY}")
        return self.values[column]

    def choice(self, column: str, known: Sequence[str]) -> str:
        """A known word; `DataError` for another."""
        value = self.values[column].strip()
        if value not in known:
            raise DataError(
                f"{self.where}: {column} must be one of {list(known)}, got '{value[:40]}'; {REMEDY}"
            )
        return value


@dataclass(frozen=True, slots=True)
class Source:
    """A data file at `path` inside the data folder, and how its official copy is known.

    A `url` must point at a fixed revision and needs a hash to check it; `ValueError` otherwise.
    """

    path: str  # inside the data folder, with forward slashes, e.g. "stereoset/dev.json"
    url: str | None = None
    hashes: tuple[str, ...] = ()  # of official files: sha256, or the id that git gives to a file
    licence: str = ""
    endings: tuple[str, ...] = ()  # under which a copy in a data folder may lie instead: ".parquet"

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path)
        if not self.path or parts.is_absolute() or ".." in parts.parts:
            raise ValueError(f"path must stay inside the data folder, got {self.path!r}")
        if self.url is not None and not self.hashes:
            raise ValueError(f"a url needs a hash to check it, got {self.url!r} alone")

    @property
    def revision(self) -> str | None:
        """Commit of the official repository, where the address is on GitHub."""
        match = _GITHUB.match(self.url or "")
        return match and match[1]

    def read(self) -> bytes:
        """The file's bytes.

        Raises `DataError` when it cannot be read, is empty, or is not the file it must be.
        """
        file = self.local_file()
        if file is not None:
            content = _bytes(file)
            if not content.strip():
                raise DataError(
                    f"{file} must hold data, got an empty file; "
                    "put the official file there, or delete it"
                )
            _check_sums(file, content, path=self.path)
            return content
        cached = self.cached_file()
        if not cached.is_file():
            self._download(cached)
        content = _bytes(cached)
        self._check(content, str(cached), "delete it and run again")
        return content

    def use(self) -> DataUse:
        """What a result records about the file; same errors as `read`.

        `verified` is False for a file in a data folder that is not a known official file; of such a
        file, where an official file is known, the licence is not. It is None where there can be
        none, which `OWN_LICENCE` says.
        """
        content, file = self.read(), self.local_file()
        verified = self.is_official(content)
        return DataUse(
            name=self.path if file is None else str(PurePosixPath(self.path).with_name(file.name)),
            sha256=_sha256(content),
            licence=OWN_LICENCE if self.hashes and not verified else self.licence,
            verified=None if self.licence == OWN_LICENCE else verified,
            revision=self.revision if verified else None,
        )

    def local_file(self) -> Path | None:
        """The file in the first data folder that has it, by any of its endings; None: none has.

        Raises `DataError` when a folder has its name, or a folder has it with two endings.
        """
        path = PurePosixPath(self.path)
        names = dict.fromkeys((path, *(path.with_suffix(ending) for ending in self.endings)))
        for folder in data_folders():
            files = [folder / name for name in names if (folder / name).exists()]
            if len(files) > 1:
                raise DataError(
                    f"{path.with_suffix('')} must be one file in {folder}, got "
                    f"{' and '.join(file.name for file in files)}; delete all but one"
                )
            if files and files[0].is_dir():
                raise DataError(
                    f"{files[0]} must be a file, got a folder; put the file in its place"
                )
            if files:
                return files[0]
        return None

    def cached_file(self) -> Path:
        """Where a fetched copy is kept, whether it exists or not."""
        # By revision, so that a newer pin does not meet the older file there and refuse it.
        return cache_folder() / "data" / (self.revision or "pinned") / self.path

    def is_official(self, content: bytes) -> bool:
        """Whether these are the bytes of a known official file."""
        return not {_sha256(content), git_blob(content)}.isdisjoint(self.hashes)

    def _check(self, content: bytes, where: str, remedy: str) -> None:
        if not self.is_official(content):
            raise DataError(
                f"{where} must have the hash {' or '.join(self.hashes)}, got sha256 "
                f"{_sha256(content)}, git blob {git_blob(content)}; {remedy}"
            )

    def _download(self, to: Path) -> None:
        remedy = (
            f"put the file at '{self.path}' inside a folder and name that folder in "
            "EQUIPOISE_DATA; `equipoise data` lists what is missing and fetches what can be fetched"
        )
        folders = " or ".join(map(str, data_folders()))
        where = f"folder {folders}" if folders else "EQUIPOISE_DATA, which is not set"
        if self.url is None:
            raise DataError(f"{self.path} must be in {where}, got no such file; {remedy}")
        if not _FETCHING.get():
            raise DataError(f"{self.path} is not in {where}; it can be fetched from {self.url}")
        offline = os.environ.get("HF_HUB_OFFLINE", "")
        if offline.strip().lower() in ("1", "true", "yes", "on"):
            raise DataError(
                f"{self.path} is not in {where}, and HF_HUB_OFFLINE={offline} forbids downloading "
                f"{self.url}; {remedy}"
            )
        try:
            with urllib.request.urlopen(self.url, timeout=_TIMEOUT) as answer:
                content: bytes = answer.read()
        except OSError as error:
            raise DataError(f"{self.url} cannot be downloaded: {error}; {remedy}") from None
        self._check(content, self.url, remedy)
        write_file(to, content, what="downloaded file")


@contextmanager
def not_fetching() -> Iterator[None]:
    """A `with` block in which a file that is not here is a `DataError`, and nothing is fetched."""
    before = _FETCHING.set(False)
    try:
        yield
    finally:
        _FETCHING.reset(before)


@contextmanager
def reading_from(folder: Path | None) -> Iterator[None]:
    """In a `with` block, look for every data file in this folder first; None changes nothing."""
    before = _NAMED.set(folder or _NAMED.get())
    try:
        yield
    finally:
        _NAMED.reset(before)


def name_folder(folder: Path) -> None:
    """As `reading_from`, until the end of the context (`contextvars`): a command has its own."""
    _NAMED.set(folder)


def named_folder() -> Path | None:
    """The folder that `reading_from` or `name_folder` names; None when neither does."""
    return _NAMED.get()


def data_folders() -> list[Path]:
    """Where data files are looked for, in order: the named folder, then `EQUIPOISE_DATA`'s.

    Raises `DataError` when the variable names no folder.
    """
    named = _NAMED.get()
    folders = [] if named is None else [named]
    name = os.environ.get("EQUIPOISE_DATA")
    if name:
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise DataError(
                f"EQUIPOISE_DATA must name a folder of data files, got '{name}'; "
                "set it to a folder, or unset it to download"
            )
        folders.append(folder)
    return folders


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_blob(content: bytes) -> str:
    """The id (hex) that git gives to a file with these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


# --- strict reading ---------------------------------------------------------------------------


def read_json(source: Source) -> JSON:
    """The file as a JSON document. Raises `DataError` naming the position of the fault."""
    return parse_json(source.read(), source.path)


def read_table(
    source: Source,
    columns: Sequence[str],
    *,
    delimiter: str = ",",
    header: bool = True,
    quoted: bool = True,
) -> list[Row]:
    """The rows of a table: below a header that has at least these columns, or of just these.

    CRLF and a byte-order mark are accepted. `quoted`: whether a quotation mark encloses a field.
    Raises `DataError` naming the missing column, or the row with a wrong number of fields.
    """
    name, content = source.path, io.StringIO(decode(source.read(), source.path), newline="")
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(content, delimiter=delimiter, quoting=quoting, strict=True)
    rows: list[Row] = []
    try:
        names = next(reader, []) if header else columns
        missing = [column for column in columns if column not in names]
        if missing:
            raise DataError(  # without a header line 1 is a text, which is not shown
                f"{name} must have a column '{missing[0]}', got {len(names)} of other names; "
                "correct line 1, or replace the file"
            )
        for fields in filter(None, reader):
            where = f"{name}, line {reader.line_num}"
            if len(fields) != len(names):
                raise DataError(
                    f"{where}: must have {len(names)} fields, got {len(fields)}; "
                    "the file may be cut short, replace it"
                )
            rows.append(Row(where=where, values=dict(zip(names, fields, strict=True))))
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: {error}; replace the file") from None
    if not rows:
        raise DataError(f"{name} must have rows, got none; replace the file")
    return rows


def unpacked(file: Path) -> bytes:
    """The bytes of a file of the user's own, which may be gzipped or in xz format.

    Raises `DataError` when it cannot be read or unpacked.
    """
    return unpack(_bytes(file), str(file))


# --- folder and network -----------------------------------------------------------------------


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        reason, remedy = error.strerror, "check its permissions"
        if isinstance(error, FileNotFoundError | IsADirectoryError):
            remedy = "name a file that is there"
        raise DataError(f"{file} must be readable, got: {reason}; {remedy}") from None


def _check_sums(file: Path, content: bytes, *, path: str) -> None:
    """Refuse a file of a data folder that a `SHA256SUMS` lists with another hash.

    The list is at the root of the data folder, in which `path` is the file's, or beside the file.
    """
    got = _sha256(content)
    root = file.parents[len(PurePosixPath(path).parts) - 1]
    for listing in {root / "SHA256SUMS", file.parent / "SHA256SUMS"}:
        lines = decode(_bytes(listing), str(listing)).splitlines() if listing.is_file() else []
        for index, line in enumerate(lines, 1):
            listed, _, name = line.strip().partition(" ")
            if line.strip() and (len(listed) != 64 or not name.strip(" *")):
                raise DataError(
                    f"{listing}, line {index}: must be a sha256 and a file name, got "
                    f"{line[:80]!r}; write it with sha256sum"
                )
            ours = listing.parent / name.lstrip(" *").removeprefix("./") == file
            if ours and listed.lower() != got:
                raise DataError(
                    f"{file} must have sha256 {listed} by {listing}, got {got}; "
                    "put the listed file back, or correct the list"
                )
