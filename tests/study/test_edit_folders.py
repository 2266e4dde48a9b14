"""Edits of a study in folders of their own: names, cards, leftovers, and the step untouched."""

import os
from pathlib import Path

import pytest

from equipoise.edits.edit import EditInfo
from equipoise.edits.prompts import PromptEdit
from equipoise.edits.registry import load_edit
from equipoise.errors import PlaceError, StoreError
from equipoise.study.edit_folders import publish
from equipoise.study.store import Store

EDIT = Path("steps") / "fit-1" / "edit"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one edit in it."""
    result = Store.open(tmp_path / "run")
    save(result, "Be fair. ")
    return result


def save(store: Store, prompt: str) -> None:
    info = EditInfo(
        method="prompt_prefix",
        version="1",
        options={},
        seed=0,
        base="tiny@1",
        base_fingerprint="",
        trained_on=frozenset(),
        origin="",
    )
    PromptEdit(info=info, prompts=(prompt,)).save(store.folder / EDIT)


def contents(folder: Path) -> dict[str, bytes]:
    return {item.name: item.read_bytes() for item in folder.iterdir()}


def published(store: Store) -> list[str]:
    return sorted(entry.name for entry in (store.folder / "edits").iterdir())


def test_the_copy_is_the_edit_and_the_step_stays(store: Store) -> None:
    before = contents(store.folder / EDIT)
    place = publish(store, "tiny-parity-seed0", EDIT, "| a table |")
    assert place == store.folder / "edits" / "tiny-parity-seed0"
    assert load_edit(place) == load_edit(store.folder / EDIT)
    after = contents(place)
    assert b"| a table |" in after.pop("README.md")
    assert b"| a table |" not in before["README.md"]
    assert contents(store.folder / EDIT) == before
    assert after == {name: content for name, content in before.items() if name != "README.md"}


def test_without_changes_the_card_says_what_is_known(store: Store) -> None:
    place = publish(store, "e", EDIT, None)
    assert (place / "README.md").read_bytes() == contents(store.folder / EDIT)["README.md"]


def test_published_again_it_is_replaced(store: Store) -> None:
    place = publish(store, "e", EDIT, "first")
    (place / "mine.txt").write_text("gone")
    again = publish(store, "e", EDIT, "second")
    assert again == place
    assert b"second" in contents(place)["README.md"]
    assert "mine.txt" not in contents(place)
    assert published(store) == ["e"]


def test_leftovers_of_a_killed_process_are_replaced(store: Store) -> None:
    beside = store.folder / "edits" / ".e.999.part"
    beside.mkdir(parents=True)
    (beside / "half").write_text("x")
    place = publish(store, "e", EDIT, None)
    assert contents(place).keys() == contents(store.folder / EDIT).keys()
    assert published(store) == ["e"]


@pytest.mark.parametrize("name", ["gpt2-parity-seed0", "a.b_c-D9"])
def test_a_plain_name_stays(store: Store, name: str) -> None:
    assert publish(store, name, EDIT, None).name == name


@pytest.mark.parametrize(
    "name",
    ["org/model", "../up", "/etc", "..", "", ".hidden", "a b", "女-seed0", "\x00", "é" * 400],
)
def test_any_other_name_is_made_plain_and_stays_in_the_folder(store: Store, name: str) -> None:
    place = publish(store, name, EDIT, None)
    assert place.parent == store.folder / "edits"
    assert published(store) == [place.name]
    assert place.name.isascii()
    assert not place.name.startswith(".")
    assert place == publish(store, name, EDIT, None)


def test_two_names_never_share_a_folder(store: Store) -> None:
    names = ["女-seed0", "男-seed0", "a b", "a_b", "a/b", "A b", "x" * 200, "x" * 201, ".", ".."]
    places = {publish(store, name, EDIT, None) for name in names}
    assert len(places) == len(names)


def test_a_disk_without_links_gets_copies(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    linked = publish(store, "linked", EDIT, None)
    assert (linked / "edit.json").samefile(store.folder / EDIT / "edit.json")

    def refuses(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuses)
    copied = publish(store, "copied", EDIT, None)
    assert not (copied / "edit.json").samefile(store.folder / EDIT / "edit.json")
    assert contents(copied) == contents(linked)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "needs room on its disk"),
        (PermissionError(13, "Permission denied"), "must be written to, got: Permission denied"),
    ],
)
def test_a_card_that_cannot_be_written_leaves_the_old_folder(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: OSError, message: str
) -> None:
    place = publish(store, "e", EDIT, "first")
    before = contents(place)

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(Path, "write_bytes", fails)
    with pytest.raises(PlaceError, match=message):
        publish(store, "e", EDIT, "second")
    assert contents(place) == before
    assert published(store) == ["e"]


def test_a_broken_edit_is_not_published(store: Store) -> None:
    place = publish(store, "e", EDIT, None)
    before = contents(place)
    (store.folder / EDIT / "edit.json").unlink()  # the published one is the same file
    (store.folder / EDIT / "edit.json").write_text("{")
    with pytest.raises(StoreError, match=r"edit\.json must be JSON"):
        publish(store, "e", EDIT, None)
    assert contents(place) == before
    assert published(store) == ["e"]
