"""The store: whole steps or none, broken ones found, a full disk said."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from equipoise.errors import PlaceError, StoreError
from equipoise.study.store import DONE, HEAD, SCHEMA, Store
from equipoise.study.study import Missing

KEY = "measure-0123"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    result = Store.open(tmp_path / "study")
    result.write_head({"steps": []})
    return result


def fill(folder: Path) -> None:
    folder.mkdir()
    (folder / "numbers.json").write_text("[1, 2]")


FILES = {"inner": fill}


def test_step_is_written_whole_or_not_at_all(store: Store) -> None:
    assert store.fault(KEY) == "is not there"
    place = store.write_step(KEY, {"title": "t"}, FILES)
    assert store.fault(KEY) is None
    done = json.loads((place / DONE).read_text())
    assert sorted(done["files"]) == ["inner/numbers.json", "step.json"]

    def broken(folder: Path) -> None:
        fill(folder)
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        store.write_step("measure-9", {}, {"inner": broken})
    assert store.fault("measure-9") == "is not there"
    assert [item.name for item in (store.folder / "steps").iterdir()] == [KEY]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda place: (place / DONE).unlink(), "cannot be read"),
        (lambda place: (place / DONE).write_text('{"schema": 1'), "cannot be read"),
        (lambda place: (place / DONE).write_text("[]"), "cannot be read"),
        (lambda place: (place / DONE).write_text('{"schema": 9, "files": {}}'), "has schema 9"),
        (lambda place: (place / "inner" / "numbers.json").write_text("[1, 2"), "changed or cut"),
        (lambda place: (place / "inner" / "numbers.json").unlink(), "cannot be read"),
    ],
)
def test_a_broken_step_is_found_and_set_aside(store: Store, harm: object, message: str) -> None:
    place = store.write_step(KEY, {}, FILES)
    assert callable(harm)
    harm(place)
    fault = store.fault(KEY)
    assert fault is not None
    assert message in fault
    aside = store.set_aside(KEY)
    assert aside == store.folder / "aside" / f"{KEY}-1"
    store.write_step(KEY, {}, FILES)
    assert store.fault(KEY) is None
    assert store.set_aside(KEY) == store.folder / "aside" / f"{KEY}-2"
    assert store.set_aside(KEY) is None


def test_a_step_removes_what_was_kept_and_its_failure(store: Store) -> None:
    store.part(KEY).mkdir(parents=True)
    store.write_failure(KEY, Missing(what="w", why="y", traceback="t"))
    assert store.failure(KEY) == Missing(what="w", why="y", traceback="t")
    store.write_step(KEY, {}, FILES)
    assert store.failure(KEY) is None
    assert not store.part(KEY).exists()


@pytest.mark.thorough
def test_lock_is_exclusive_and_released_at_exit(store: Store) -> None:
    code = (  # as `Store.lock` does, without what takes a second to import
        "import sys, time; from filelock import FileLock\n"
        "with FileLock(sys.argv[1], timeout=0) as lock:\n"
        "    print(lock.is_locked, flush=True); time.sleep(60)\n"
    )
    file = str(store.folder / "locks" / "k.lock")
    with subprocess.Popen(
        [sys.executable, "-c", code, file], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with store.lock("k") as mine:
            assert not mine
        with store.lock("l") as mine:
            assert mine
        other.kill()
        other.wait()
    with store.lock("k") as mine:
        assert mine


def test_other_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(StoreError, match="or one of its own"):
        Store.open(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="choose another name"):
        Store.open(tmp_path / "file")
    with pytest.raises(PlaceError, match="must be written to"):
        Store.open(tmp_path / "file" / "below")
    with pytest.raises(StoreError, match=r"has none; name a folder that `equipoise run` wrote"):
        Store(folder=tmp_path).head()


def test_run_killed_at_once_may_resume(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / f".{HEAD}.12.part").write_text("{")
    assert Store.open(tmp_path).folder == tmp_path


def test_run_without_its_head_may_resume(store: Store) -> None:
    store.write_step(KEY, {}, FILES)
    (store.folder / HEAD).write_text("{")
    with pytest.raises(StoreError, match="remove that file and run the recipe again"):
        Store.open(store.folder)
    (store.folder / HEAD).unlink()
    for name in ("aside", "edits"):
        (store.folder / name).mkdir()
    (store.folder / "report.html").write_text("page")
    assert Store.open(store.folder).fault(KEY) is None
    (store.folder / "mine.txt").write_text("x")
    with pytest.raises(StoreError, match="is another's"):
        Store.open(store.folder)


def test_page_and_edits_alone_are_no_store(tmp_path: Path) -> None:
    (tmp_path / "edits").mkdir()
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(StoreError, match="is another's"):
        Store.open(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({"schema": SCHEMA + 1}), f"must have schema {SCHEMA}, got {SCHEMA + 1}"),
        ("{", "must be JSON"),
        ("[]", "got list"),
    ],
)
def test_other_schema_is_an_error(store: Store, text: str, message: str) -> None:
    (store.folder / HEAD).write_text(text)
    with pytest.raises(StoreError) as caught:
        Store.open(store.folder)
    assert message in str(caught.value)
    assert "; " in str(caught.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_an_error_and_the_store_stays_readable(store: Store, number: int) -> None:
    store.write_step(KEY, {}, FILES)

    def full(folder: Path) -> None:
        fill(folder)
        raise OSError(number, "No space left on device")

    def full_behind(_: Path) -> None:
        try:
            raise OSError(number, "No space left on device")
        except OSError as error:
            raise StoreError("cannot write results") from error

    for entry in (full, full_behind):
        with pytest.raises(PlaceError, match="needs room on its disk") as caught:
            store.write_step("fit-1", {}, {"inner": entry})
        assert "what is finished is kept" in str(caught.value)
    assert store.fault(KEY) is None
    assert [entry.name for entry in (store.folder / "steps").iterdir()] == [KEY]


def test_other_store_errors_are_not_place_errors(store: Store) -> None:
    def wrong(_: Path) -> None:
        raise StoreError("an edit must be saved, got nothing; mend it")

    with pytest.raises(StoreError) as caught:
        store.write_step(KEY, {}, {"inner": wrong})
    assert not isinstance(caught.value, PlaceError)
