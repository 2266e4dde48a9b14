"""Files and folders that are written whole or not at all, and the hash of a file.

What is written lies beside its place under a name of its own, is flushed to the disk, and is
renamed into place: a reader never sees half of it, and a rename never outlives its content.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from equipoise.errors import StoreError


def write_file(file: Path, content: str | bytes, *, what: str) -> Path:
    """Put a file in place, a text in UTF-8 with plain line ends; gives the file back.

    `what` is what an error calls it: "page", "table". Raises `StoreError`, and then a file that
    was there is as it was.
    """
    beside = _beside(file)
    try:
        data = content.encode() if isinstance(content, str) else content
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        flush(beside)
        beside.replace(file)
    except (OSError, UnicodeEncodeError) as error:  # the latter: half a surrogate pair
        raise StoreError(
            f"cannot write the {what} {file}: {error}; choose another place"
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    return file


def write_json_lines(file: Path, rows: Iterable[Mapping[str, object]], *, what: str) -> Path:
    """Put a file of JSON Lines in place, an object a row; as `write_file`."""
    lines = (f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    return write_file(file, "".join(lines), what=what)


def check_new(folder: Path, *, what: str) -> None:
    """Raise `StoreError` unless the folder is new or empty and its place may be written to.

    `what` is what an error calls its content. Ask before a long run.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(
            f"{what} must be written into a new or empty folder, got {folder}; "
            "choose another name or remove it"
        )
    _check_place(folder, what=what)


def check_new_file(file: Path, *, what: str) -> None:
    """Raise `StoreError` where there is such a file, or its place may not be written to.

    `what` is what an error calls its content. Ask before a long run.
    """
    if file.exists():
        raise StoreError(
            f"{what} must be written into a new file, got {file}, which is there; choose another "
            "name or remove it"
        )
    _check_place(file.parent, what=what)


def check_file(file: Path, *, what: str) -> None:
    """Raise `StoreError` where no file may be put, be it new or in place of another.

    `what` is what an error calls it. Ask before a long run.
    """
    if file.is_dir():
        raise StoreError(f"{what} must be a file, got the folder {file}; choose another name")
    _check_place(file.parent, what=what)


def _check_place(folder: Path, *, what: str) -> None:
    place = next(
        parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()
    )
    try:
        # tried, for the superuser may write anywhere but on a disk that is read-only
        with TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise StoreError(
            f"{what} must be written into a folder, {folder} cannot be made because {place} is "
            f"none or may not be written to ({error.strerror}); choose another place"
        ) from error


@contextmanager
def new_folder(folder: Path, *, what: str) -> Iterator[Path]:
    """A folder to fill, which takes its place when the `with` block ends without an error.

    The place must be free, or an empty folder. Raises `StoreError` for an error of the disk, also
    if raised in the block; then nothing is left.
    """
    beside = _beside(folder)
    try:
        beside.mkdir(parents=True)
        yield beside
        for file in beside.rglob("*"):
            if file.is_file():
                flush(file)
        beside.replace(folder)
    except OSError as error:
        raise StoreError(
            f"cannot write the {what} {folder}: {error}; choose another place"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def sha256(file: Path) -> str:
    """sha256 (hex) of a file's bytes. Raises `OSError`."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_sha256(folder: Path, *, suffixes: tuple[str, ...] = ()) -> str:
    """sha256 (hex) over the names and contents of the files in a folder and below.

    `suffixes`: of the files that count, such as ".yaml"; none: all. Raises `OSError`.
    """
    digest = hashlib.sha256()
    # sorted, as disks list a folder in orders of their own
    for file in sorted(folder.rglob("*")):
        if file.is_file() and (not suffixes or file.suffix in suffixes):
            digest.update(f"{file.relative_to(folder).as_posix()} {sha256(file)}\n".encode())
    return digest.hexdigest()


def flush(file: Path) -> None:
    """Put a file's content on the disk itself. Raises `OSError`."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _beside(place: Path) -> Path:
    # with the process's number: two that write the same place must not share what is unfinished
    return place.with_name(f".{place.name}.{os.getpid()}.part")
