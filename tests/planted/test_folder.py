"""A world's data folder: written once, whole, and readable as the official files are."""

from pathlib import Path

import pytest
from worlds import in_world

from equipoise.data import clozes, crows_pairs, stereoset
from equipoise.data.prompt_sets import prompt_set
from equipoise.data.sources import reading_from
from equipoise.errors import DataError, RecipeError, StoreError
from equipoise.planted.folder import WORLD, find_folder, folder_world, world_folder
from equipoise.planted.world import find_world


@pytest.mark.parametrize("name", ["default", "targets=12"])
def test_files_hold_the_items_of_the_world(name: str) -> None:
    world = find_world(name)
    with in_world(name):
        assert folder_world() == world
        measured, learnt = stereoset.read_items("dev"), stereoset.read_items("test")
        pairs, facts = crows_pairs.read_pairs(), clozes.known_facts()
        prompts = prompt_set()
    assert [item.id for item in measured] == [item.id for item in world.contrasts("test")]
    expected = (*world.contrasts("train"), *world.contrasts("dev"))
    assert [item.id for item in learnt] == [item.id for item in expected]
    for item, contrast in zip(measured, world.contrasts("test"), strict=True):
        texts = (contrast.stereotype, contrast.antistereotype, contrast.unrelated)
        assert item.sentences == texts
        assert item.groups.items() >= contrast.groups.items()
    assert [(pair.id, pair.stereotype, pair.antistereotype) for pair in pairs] == [
        (pair.id, pair.stereotype, pair.antistereotype) for pair in world.pairs()
    ]
    assert facts == world.facts
    assert {term.word: term.score for term in prompts.terms} == {
        profession.word: profession.score for profession in world.professions
    }
    assert [template.text for template in prompts.templates] == [
        template.prompt("{profession}") for template in world.templates
    ]
    assert tuple(hint.text for hint in prompts.hints) == world.hint_templates
    assert tuple(hint.text for hint in prompts.training_hints) == world.hint_templates_train


def test_a_folder_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))
    folder = world_folder("planted:seed=1")
    assert folder.parent == tmp_path / "planted"
    written = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    assert world_folder("strength=0.75,seed=1") == folder
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == written
    assert world_folder("seed=2") != folder
    assert not list((tmp_path / "planted").glob(".*"))


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))
    folder = world_folder("default")
    file = folder / crows_pairs.CROWS_PAIRS.path
    file.write_text(file.read_text().replace("nurse", "purse"))
    with reading_from(folder), pytest.raises(DataError, match="SHA256SUMS"):
        crows_pairs.read_pairs()


def test_a_cache_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted").write_text("a file")
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))
    with pytest.raises(StoreError, match="planted"):
        world_folder("default")


def test_unknown_folders_are_refused(tmp_path: Path) -> None:
    assert find_folder(str(tmp_path)) == tmp_path
    assert find_folder("planted:default") == world_folder("default")
    for name in ("planted:none", str(tmp_path / "absent")):
        with pytest.raises(RecipeError):
            find_folder(name)
    file = tmp_path / WORLD.path
    file.parent.mkdir()
    file.write_text('{"name": "default"}')
    with reading_from(tmp_path), pytest.raises(DataError, match=r"world\.json"):
        folder_world()
