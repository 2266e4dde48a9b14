"""Store: a study on disk, a folder per step, that survives a kill at any moment.

    study.json      the schema, the recipe as resolved and the plan
    steps/KEY/      a finished step: what it is (step.json), its files, done.json last
    parts/KEY/      what an unfinished step has so far: outcomes in shards
    failed/KEY.json why a step has no result, with its traceback
    aside/          broken steps
    locks/          of each step; the system frees it when its process ends, however it ends
    logs/KEY.txt    what workers said while they were at a step, each try after the other
    log.jsonl       what was done when, and how long it took; no result depends on it

A step is written beside its place and renamed into it, `done.json` with the hash of every file
written last: a folder without it, or with a file of another hash, is not a result. No torch.
"""

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import TypeAdapter

from equipoise.errors import PlaceError, StoreError
from equipoise.files.atomic import new_folder, sha256, write_file
from equipoise.files.json_records import read_object
from equipoise.files.locking import locked
from equipoise.records import JSON, Outcome
from equipoise.study.results import read_outcomes, write_outcomes
from equipoise.study.study import Missing

SCHEMA = 2
HEAD, STEP, DONE, LOG = "study.json", "step.json", "done.json", "log.jsonl"
#: In the first line of a worker's log: its time and the step, then this, then its name.
BEGUN = ", begun "
#: Examples in a shard of an unfinished measurement. Results depend on it, as it settles which
#: requests share a batch.
SHARD_SIZE = 500


#: What writes each file or folder of a step, given its place.
StepFiles: TypeAlias = Mapping[str, Callable[[Path], object]]

_MISSING = TypeAdapter(Missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The folder of a study. Several processes may use it at the same time."""

    folder: Path

    @classmethod
    def open(cls, folder: Path | str) -> "Store":
        """The store in a folder, which is made if it is missing.

        Raises `StoreError` for a folder of something else, of another schema version, or that
        cannot be written to.
        """
        store = cls(folder=Path(folder))
        if (store.folder / HEAD).exists():
            store.head()
        elif store.folder.exists() and not _is_only_begun(store.folder):
            raise StoreError(
                f"a study is kept in a new folder or one of its own, {folder} is another's; "
                "choose another name"
            )
        with as_place_error(store.folder):
            for name in ("steps", "parts", "failed", "locks", "logs"):
                (store.folder / name).mkdir(parents=True, exist_ok=True)
        return store

    def head(self) -> dict[str, Any]:
        """`study.json`. Raises `StoreError` when it is missing, cut or of another schema."""
        file = self.folder / HEAD
        if not file.exists():
            raise StoreError(
                f"a study must have a {HEAD}, '{self.folder}' has none; name a folder that "
                "`equipoise run` wrote"
            )
        try:
            document = read_object(file)
        except StoreError as error:
            raise StoreError(
                f"{error}; or remove that file and run the recipe again, every finished step is "
                "kept"
            ) from None
        if document.get("schema") != SCHEMA:
            raise StoreError(
                f"{file} must have schema {SCHEMA}, got {document.get('schema')!r}; it was written "
                "by another version of equipoise, read it with that version or choose another "
                "folder"
            )
        return document

    def write_head(self, document: Mapping[str, JSON]) -> None:
        """Put `study.json` in place, whole."""
        self.write_file(self.folder / HEAD, to_text({"schema": SCHEMA, **document}))

    def write_file(self, file: Path, text: str) -> None:
        """Put a file of the study in place, whole or not at all. Raises `PlaceError`."""
        # alone, or what is removed as unfinished could be what another process is writing
        with self.waiting_lock("files"), as_place_error(self.folder):
            remove_unfinished(file)
            write_file(file, text, what="file of the study")

    # --- steps --------------------------------------------------------------------------------

    def step(self, key: str) -> Path:
        """Where a finished step lies, or will."""
        return self.folder / "steps" / key

    def kept(self) -> set[str]:
        """The keys of all steps that lie there, whole or not, from a single look at the folder."""
        return set(_names_in(self.folder / "steps"))

    def fault(self, key: str) -> str | None:
        """What is wrong with a step; None: every file has the hash in `done.json`. Reads all."""
        folder = self.step(key)
        if not folder.is_dir():
            return "is not there"
        try:
            done = json.loads((folder / DONE).read_text(encoding="utf-8"))
            if done["schema"] != SCHEMA:
                return f"has schema {done['schema']!r}"
            for name, expected in done["files"].items():
                if sha256(folder / name) != expected:
                    return f"has a changed or cut {name}"
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"cannot be read: {error}"
        return None

    def is_whole(self, key: str) -> bool:
        """Whether a step is done. What it left when its process was ended is removed."""
        whole = self.fault(key) is None
        if whole:
            self.clean_up(key)  # its process may have ended right after the rename
        return whole

    def set_aside(self, key: str) -> Path | None:
        """Move a broken step out of the way, so that it is done anew; gives its new place."""
        folder = self.step(key)
        if not folder.exists():
            return None
        number = 1
        while (place := self.folder / "aside" / f"{key}-{number}").exists():
            number += 1
        with as_place_error(self.folder):
            place.parent.mkdir(exist_ok=True)
            folder.replace(place)
        return place

    def write_step(self, key: str, what: Mapping[str, JSON], files: StepFiles) -> Path:
        """Write the files of a step, and rename it into place; gives the place.

        Hold its lock. What was kept of it and a former failure are removed.
        Raises `PlaceError` when the disk is full or the folder cannot be written to.
        """
        place = self.step(key)
        with as_place_error(self.folder):
            remove_unfinished(place)
            with new_folder(place, what="step") as beside:
                (beside / STEP).write_text(to_text(dict(what)), encoding="utf-8")
                for name, write in files.items():
                    write(beside / name)
                written = sorted(file for file in beside.rglob("*") if file.is_file())
                seal = {file.relative_to(beside).as_posix(): sha256(file) for file in written}
                done = to_text({"schema": SCHEMA, "files": seal})
                (beside / DONE).write_text(done, encoding="utf-8")
        self.clean_up(key)
        return place

    def clean_up(self, key: str) -> None:
        """Remove the parts and the former failure of a complete step."""
        with as_place_error(self.folder):
            shutil.rmtree(self.part(key), ignore_errors=True)
            (self.folder / "failed" / f"{key}.json").unlink(missing_ok=True)

    def part(self, key: str) -> Path:
        """Where an unfinished step keeps what it has."""
        return self.folder / "parts" / key

    @contextmanager
    def lock(self, name: str, *, timeout: float = 0) -> Iterator[bool]:
        """True if this process may do the step; a single process at a time may.

        `timeout`: seconds to wait for it; -1: however long it takes.
        """
        with ExitStack() as stack:
            with as_place_error(self.folder):
                file = self.folder / "locks" / f"{name}.lock"
                mine = stack.enter_context(locked(file, timeout=timeout))
            yield mine

    def waiting_lock(self, name: str) -> AbstractContextManager[bool]:
        """Wait for a lock and hold it; for what takes seconds at most. Raises `PlaceError`."""
        return self.lock(name, timeout=-1)

    # --- what workers say ---------------------------------------------------------------------

    def log_of(self, key: str) -> Path:
        """Where workers write what they say of a step."""
        return self.folder / "logs" / f"{key}.txt"

    def logged(self) -> set[str]:
        """The keys of all steps of which there is one, from a single look at the folder."""
        return {name.removesuffix(".txt") for name in _names_in(self.folder / "logs")}

    def log_size(self, key: str) -> int:
        """Bytes that there are of it so far."""
        try:
            return self.log_of(key).stat().st_size
        except OSError:
            return 0

    def worker_of(self, key: str, *, after: int) -> str | None:
        """Who began a step, by its log behind so many bytes; None: nobody yet."""
        with suppress(OSError), self.log_of(key).open(encoding="utf-8", errors="replace") as log:
            log.seek(after)
            for line in log:
                _, mark, worker = line.rstrip("\n").partition(BEGUN)
                if mark:
                    return worker
        return None

    # --- failures and the log -----------------------------------------------------------------

    def write_failure(self, key: str, failure: Missing) -> None:
        """Record why a step has no result."""
        self.write_file(self.folder / "failed" / f"{key}.json", to_text(asdict(failure)))

    def failure(self, key: str) -> Missing | None:
        """The failure recorded of a step; None when it did not fail or the record is broken."""
        try:
            return _MISSING.validate_json((self.folder / "failed" / f"{key}.json").read_bytes())
        except (OSError, ValueError):
            return None

    def log(self, event: str, **values: JSON) -> None:
        """Add a line to the log; a log that cannot be written stops nothing."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, **values})
        with suppress(OSError), (self.folder / LOG).open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredShards:
    """`measure.Shards` of an unfinished measurement, each with its hash, in the store.

    Hold the step's lock when writing.
    """

    store: Store
    key: str
    size: int

    def read(self, number: int) -> tuple[Outcome, ...] | None:
        """A complete shard; None for a missing or broken shard and for another size."""
        file, seal = self._files(number)
        try:
            sealed = json.loads(seal.read_text(encoding="utf-8"))
            if sealed["size"] != self.size or sealed["sha256"] != sha256(file):
                return None
            return read_outcomes(file)
        except (OSError, ValueError, KeyError, TypeError, StoreError):
            return None

    def write(self, number: int, outcomes: Sequence[Outcome]) -> None:
        """Write the outcomes, then the seal; without the seal there is no shard."""
        file, seal = self._files(number)
        with as_place_error(self.store.folder):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_outcomes(file, outcomes)
            # under the step's lock, not that of all small files, which many workers would wait for
            remove_unfinished(seal)
            text = to_text({"sha256": sha256(file), "size": self.size})
            write_file(seal, text, what="shard of a measurement")

    def _files(self, number: int) -> tuple[Path, Path]:
        folder = self.store.part(self.key)
        return folder / f"outcomes-{number:06d}.parquet", folder / f"outcomes-{number:06d}.json"


@contextmanager
def as_place_error(folder: Path) -> Iterator[None]:
    """Errors of the disk, also those behind another error, as a sentence. Raises `PlaceError`."""
    try:
        yield
    except (OSError, StoreError) as raised:
        error = raised.__cause__ if isinstance(raised, StoreError) else raised
        if not isinstance(error, OSError):
            raise
        need, remedy = "must be written to", "fix this or choose another folder"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            need = "needs room on its disk"
            remedy = "free some and run the same command again, what is finished is kept"
        raise PlaceError(
            f"the study in {folder} {need}, got: {error.strerror or error}; {remedy}"
        ) from error


def to_text(document: Mapping[str, Any]) -> str:
    """JSON as the store writes it: strict, keys sorted."""
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"


def remove_unfinished(place: Path) -> None:
    """Remove what killed processes left beside the place of a file or folder; hold its lock."""
    for unfinished in place.parent.glob(f".{place.name}.*.part"):
        if unfinished.is_file():
            unfinished.unlink(missing_ok=True)
        shutil.rmtree(unfinished, ignore_errors=True)


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # nothing was run
        return []


def _is_only_begun(folder: Path) -> bool:
    """Whether a folder holds at most what a run makes: it was killed at once, or lost its head."""
    if not folder.is_dir():
        return False
    always = {"steps", "parts", "failed", "locks", "logs", LOG}
    later = {"aside", "edits", "report.html"}
    names = {entry.name for entry in folder.iterdir() if not entry.name.startswith(f".{HEAD}.")}
    return names <= always or ("steps" in names and names <= always | later)
