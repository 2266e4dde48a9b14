"""A training set in a file, as a sequence that reads a row when it is asked for.

The file is gone through once when it is opened, which checks every row; where each begins is kept
(8 bytes a row, and 8 of its id), so that ten gigabytes are opened in little memory. Of a `.jsonl`
file a line is a row (`row_lines`). Of a `.txt` file a row is what stands between blank lines, or a
line where there is no blank line; of a `.tsv` file the first column of a line. Each may be packed
(`.gz`, `.xz`).
"""

import gzip
import hashlib
import lzma
import os
import shutil
import tempfile
import weakref
import zlib
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, overload

import numpy as np

from equipoise.data.documents import kind_of_file
from equipoise.data.sources import OWN_LICENCE, Source, data_folders
from equipoise.errors import DataError
from equipoise.own_data.row_lines import row_of_line, row_of_text
from equipoise.records import DataUse
from equipoise.rows import TrainingRow

_KINDS: Final = (".jsonl", ".txt", ".tsv")
_LONGEST: Final = 2**26  # bytes of a line: a file of a single line would be read whole
_BLOCK: Final = 2**20


class RowFile(Sequence[TrainingRow]):
    """The rows of a file, in its order; rows without words are left out and counted."""

    def __init__(self, path: Path | str, *, strict: bool = False) -> None:
        """`path`: of a file, or of one in the data folder. `strict`: no row may be left out.

        Raises `DataError` naming file and line: unreadable, of another kind, not UTF-8, not JSON,
        a row of another form, an id that is there twice, no row at all.
        """
        self._path = _find(path)
        self._name = self._path.name
        kind = kind_of_file(self._name)
        if kind not in _KINDS:
            raise DataError(
                f"training rows must be in a file of {', '.join(_KINDS)}, got '{self._name}'; "
                'write a row as {"text": …} on a line of a .jsonl file'
            )
        self._lines, self._table = kind == ".jsonl", kind == ".tsv"
        self._starts, self._sizes, self._numbers = array("Q"), array("Q"), array("Q")
        self.left_out = 0  # rows without words
        self._first_left_out = 0
        self._plain = _unpacked(self._path, self._name)
        if self._plain != self._path:
            weakref.finalize(self, _delete, self._plain)
        self._stamp = _stamp(self._plain, self._name)
        self._index(strict)
        self._sha256 = _sha256(self._path)

    @property
    def use(self) -> DataUse:
        """What a result records about the file."""
        return DataUse(name=self._name, sha256=self._sha256, licence=OWN_LICENCE, verified=None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out."""
        if not self.left_out:
            return ()
        first = f"the first is line {self._first_left_out}"
        return (f"{self._name}: {self.left_out} rows without words were left out; {first}",)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> TrainingRow: ...

    @overload
    def __getitem__(self, index: slice) -> list[TrainingRow]: ...

    def __getitem__(self, index: int | slice) -> TrainingRow | list[TrainingRow]:
        """A row, or rows, read now."""
        with self._open() as file:
            if isinstance(index, slice):
                return [self._read(file, place) for place in range(*index.indices(len(self)))]
            return self._read(file, range(len(self))[index])

    def __iter__(self) -> Iterator[TrainingRow]:
        with self._open() as file:
            for place in range(len(self)):
                yield self._read(file, place)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RowFile) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        """With the hash of its content: trainings are told apart by it."""
        return f"RowFile({self._name!r}, rows={len(self)}, sha256={self._sha256})"

    def _open(self) -> BinaryIO:
        if _stamp(self._plain, self._name) != self._stamp:
            raise DataError(
                f"{self._name} must stay as it is while its rows are read, got another size or "
                "time of change; open it again"
            )
        return self._plain.open("rb")

    def _read(self, file: BinaryIO, place: int) -> TrainingRow:
        file.seek(self._starts[place])
        return self._parse(file.read(self._sizes[place]), self._numbers[place])

    def _parse(self, content: bytes, line: int) -> TrainingRow:
        if self._lines:
            return row_of_line(content, self._name, line)
        return row_of_text(content, self._name, line, table=self._table)

    def _index(self, strict: bool) -> None:
        """Go through the file once: check each row, and keep where it is."""
        digests = array("Q")
        with self._plain.open("rb") as file:
            stretches = _lines(file, self._name)
            if not (self._lines or self._table):
                file.seek(0)
                if _has_blank_lines(file, self._name):
                    stretches = _documents(file, self._name)
                file.seek(0)
            for start, line, content in stretches:
                row = self._parse(content, line)
                if not row.content.strip():
                    self._leave_out(line, strict)
                    continue
                self._starts.append(start)
                self._sizes.append(len(content))
                self._numbers.append(line)
                digest = hashlib.blake2b(row.id.encode(errors="surrogatepass"), digest_size=8)
                digests.append(int.from_bytes(digest.digest(), "big"))
        if not self._starts:
            raise DataError(
                f"{self._name} must hold rows with a text, got {self.left_out} without any words "
                "and no other; name another file"
            )
        self._refuse_repeated(digests)

    def _leave_out(self, line: int, strict: bool) -> None:
        if strict:
            raise DataError(
                f"{self._name}, line {line}: a row must have words under strict, got none; remove "
                "it, or leave strict out"
            )
        self.left_out += 1
        self._first_left_out = self._first_left_out or line

    def _refuse_repeated(self, digests: "array[int]") -> None:
        values = np.frombuffer(digests, dtype=np.uint64)
        order = np.argsort(values, kind="stable")
        for place in np.flatnonzero(np.diff(values[order]) == 0).tolist():
            first, second = self[int(order[place])], self[int(order[place + 1])]
            if first.id == second.id:
                lines = [self._numbers[int(order[place + step])] for step in (0, 1)]
                raise DataError(
                    f"{self._name}, line {lines[1]}: an id must be there once, got '{first.id}' "
                    f"also in line {lines[0]} (a row without an id has the number of its line); "
                    "change it"
                )


def _find(path: Path | str) -> Path:
    file = Path(path).expanduser()
    if file.is_dir():
        raise DataError(f"training rows must be in a file, '{file}' is a folder; name a file in it")
    if file.is_file():
        return file
    try:
        local = Source(path=str(path), licence=OWN_LICENCE).local_file()
    except ValueError:  # a path out of the data folder
        local = None
    if local is None:
        folders = ", ".join(map(str, data_folders())) or "no folder, as none is named"
        raise DataError(
            f"'{path}' must be the path of a file, or one in a data folder ({folders}), got no "
            "such file; check the path"
        )
    return local


def _unpacked(path: Path, name: str) -> Path:
    """The file itself, or what it holds packed, in a temporary file."""
    with path.open("rb") as file:
        head = file.read(6)
    opener = gzip.open if head[:2] == b"\x1f\x8b" else lzma.open if head == b"\xfd7zXZ\0" else None
    if opener is None:
        return path
    handle, plain = tempfile.mkstemp(prefix="equipoise-rows-")
    try:
        with os.fdopen(handle, "wb") as out, opener(path, "rb") as packed:
            shutil.copyfileobj(packed, out, _BLOCK)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        _delete(Path(plain))
        raise DataError(f"{name} cannot be unpacked: {error}; replace the file") from None
    return Path(plain)


def _delete(file: Path) -> None:
    file.unlink(missing_ok=True)


def _stamp(file: Path, name: str) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}; put it back") from None
    return status.st_size, status.st_mtime_ns


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[int, int, bytes]]:
    """Byte offset, number and content of each line that is not blank."""
    start = number = 0
    while content := file.readline(_LONGEST + 1):
        number += 1
        if len(content) > _LONGEST:
            raise DataError(
                f"{name}, line {number}: a row must have at most {_LONGEST} bytes, got a longer "
                "line; write a row on each line"
            )
        if content.strip():
            yield start, number, content
        start += len(content)


def _documents(file: BinaryIO, name: str) -> Iterator[tuple[int, int, bytes]]:
    """As `_lines`, of each stretch between blank lines."""
    first: tuple[int, int] | None = None
    parts: list[bytes] = []
    last = 0
    for start, number, content in _lines(file, name):
        if first is not None and number > last + 1:
            yield *first, b"".join(parts)
            first, parts = None, []
        first = first or (start, number)
        parts.append(content)
        last = number
    if first is not None:
        yield *first, b"".join(parts)


def _has_blank_lines(file: BinaryIO, name: str) -> bool:
    """Whether a blank line stands between two others."""
    last = 0
    for _, number, _ in _lines(file, name):
        if last and number > last + 1:
            return True
        last = number
    return False
