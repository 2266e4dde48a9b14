"""`equipoise report`: of a study that is whole, empty, broken or none."""

import html
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stored_results import stored

from equipoise.errors import StoreError
from equipoise.study.load_study import read_study

from .conftest import STEPS, Asked, Refused

Change = Callable[[dict[str, Any]], object]


def titles(folder: Path) -> list[str]:
    """Of every step of the plan."""
    return [item["title"] for item in json.loads((folder / "study.json").read_text())["steps"]]


@pytest.mark.thorough
def test_out_option_leaves_the_study_untouched(finished: Path, tmp_path: Path, ask: Asked) -> None:
    before = stored(finished)
    status, _, err = ask("report", finished, "--out", tmp_path / "new" / "page.html")
    assert status == 0
    assert err == f"the report is {tmp_path / 'new' / 'page.html'}\n"
    assert (tmp_path / "new" / "page.html").read_bytes() == (finished / "report.html").read_bytes()
    assert stored(finished) == before


def test_unstarted_study_lists_every_step_as_missing(
    finished: Path, tmp_path: Path, ask: Asked
) -> None:
    shutil.copy(finished / "study.json", tmp_path)
    assert ask("report", tmp_path)[0] == 0
    page = html.unescape((tmp_path / "report.html").read_text())
    assert len(titles(finished)) == STEPS
    assert all(title in page for title in titles(finished))
    assert "not run yet" in page
    assert "A small study" in page


def test_a_study_without_steps_is_a_page(tmp_path: Path, ask: Asked) -> None:
    head = {"schema": 2, "recipe": {"title": "None yet"}, "steps": []}
    (tmp_path / "study.json").write_text(json.dumps(head))
    assert ask("report", tmp_path)[0] == 0
    page = (tmp_path / "report.html").read_text()
    assert "None yet" in page
    assert "not run yet" not in page


@pytest.mark.thorough
def test_damaged_step_is_missing_with_its_error(copied: Path, ask: Asked) -> None:
    broken = next(
        entry for entry in (copied / "steps").iterdir() if entry.name.startswith("locate")
    )
    (broken / "stability.json").write_text("{")
    half = next(step for step in (copied / "steps").iterdir() if step.name.startswith("fit"))
    (half / "done.json").unlink()
    assert ask("report", copied)[0] == 0
    page = (copied / "report.html").read_text()
    assert "its stored result has a changed or cut stability.json" in page
    assert "its stored result cannot be read" in page
    assert "not run yet" not in page
    assert "parity on tiny" in page


def test_folder_without_a_study(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    for command in (("report",), ("export", "--csv")):
        said = refused(*command, tmp_path)
        assert f"must have a study.json or a results.json, '{tmp_path}' has neither" in said
    for other in ("absent", "kept.txt"):
        with pytest.raises(StoreError, match=other):
            read_study(tmp_path / other)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda head: head.update(schema=9), "must have schema 2, got 9"),
        (lambda head: head.pop("steps"), "must list its steps, got 'steps'"),
        (lambda head: head.update(recipe=[1]), r"must have its recipe, got \[1\]"),
        (lambda head: head["steps"][0].pop("title"), "must list its steps"),
    ],
)
def test_study_of_another_schema(finished: Path, tmp_path: Path, change: Change, part: str) -> None:
    head = json.loads((finished / "study.json").read_text())
    change(head)
    (tmp_path / "study.json").write_text(json.dumps(head))
    with pytest.raises(StoreError, match=part):
        read_study(tmp_path)


def test_truncated_study_json(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_bytes((finished / "study.json").read_bytes()[:-9])
    with pytest.raises(StoreError, match=r"study\.json must be JSON"):
        read_study(tmp_path)
