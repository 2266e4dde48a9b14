"""Bad recipes and bad places: one sentence, status 2, and nothing that was there is lost."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from .conftest import STEPS, Asked, Refused, Written, contents

GENBIAS = "models: [MODEL]\ndata: planted:default\nbenchmarks:\n  - name: genbias\n"


# --- recipes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GENBIAS + "models: [other]\n", "line 5: a key stands once, got 'models' again (first in"),
        ("models: [MODEL\n", "YAML must be well formed, got: "),
        ("", "must hold a recipe, got 0 documents"),
        (GENBIAS + "draw: 10\n", "line 5: a recipe has no key 'draw'; did you mean 'draws'?"),
        (GENBIAS + "    splitby: both\n", "line 5: genbias has no option 'splitby'; did you mean"),
        (GENBIAS + "  - stereosett\n", "line 5: benchmark 'stereosett' is not known; did you mean"),
        (
            GENBIAS + "    split: train\nmitigations: [lftf]\n"
            "supply: genbias\n",
            "line 4: 225 of the 225 examples of genbias (train) are among what 'lftf' learns",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("flags", [(), ("--dry",)], ids=["run", "dry"])
def test_a_bad_recipe(
    written: Written,
    tmp_path: Path,
    refused: Refused,
    text: str,
    said: str,
    flags: tuple[str, ...],
) -> None:
    file = written(text)
    sentence = refused("run", file, "--out", tmp_path / "run", *flags)
    assert sentence.startswith(f"error: {file}")
    assert said in sentence
    assert not (tmp_path / "run").exists()


def test_a_recipe_that_cannot_be_read(tmp_path: Path, refused: Refused) -> None:
    for place in (tmp_path / "none.yaml", tmp_path):
        assert f"must be a file that can be read, got '{place}'" in refused("run", place)
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9\n")
    assert "must be UTF-8, got byte 0xe9 at 10" in refused("run", tmp_path / "latin.yaml")
    (tmp_path / "long.yaml").write_bytes(b"#" * 200_001)
    assert "at most 200,000 bytes, got 200,001" in refused("run", tmp_path / "long.yaml")


# --- places -----------------------------------------------------------------------------------


def test_a_folder_of_something_else(recipe: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "report.html").write_text("mine")
    said = refused("run", recipe, "--out", tmp_path)
    assert f"a study is kept in a new folder or one of its own, {tmp_path} is another's" in said
    (tmp_path / "steps").mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    assert "is another's; choose another name" in refused("run", recipe, "--out", tmp_path)


def test_a_place_below_a_file(recipe: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "file").write_text("kept")
    said = refused("run", recipe, "--out", tmp_path / "file" / "run")
    assert "must be written to, got: Not a directory; fix this or choose another folder" in said


def test_a_folder_that_may_not_be_written_to(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    def denied(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", denied)
    said = refused("run", recipe, "--out", tmp_path / "run")
    assert f"the study in {tmp_path / 'run'} must be written to, got: Permission denied; " in said
    assert not (tmp_path / "run").exists()


def test_another_schema_is_refused_and_left_as_it_is(
    recipe: Path, copied: Path, refused: Refused
) -> None:
    head = json.loads((copied / "study.json").read_text())
    (copied / "study.json").write_text(json.dumps({**head, "schema": 1}))
    said = refused("run", recipe, "--out", copied)
    assert "study.json must have schema 2, got 1; it was written by another version" in said


def test_a_cut_head_is_refused_and_mended_as_the_sentence_says(
    recipe: Path, copied: Path, refused: Refused, ask: Asked
) -> None:
    whole = contents(copied)
    (copied / "study.json").write_bytes(whole["study.json"][:-20])
    said = refused("run", recipe, "--out", copied)
    assert "remove that file and run the recipe again, every finished step is kept" in said
    (copied / "study.json").unlink()
    status, _, err = ask("run", recipe, "--out", copied)
    assert (status, err) == (0, f"0 steps done, {STEPS} were done before, 0 failed\n")
    assert contents(copied).keys() == whole.keys()
    now = contents(copied)
    assert {name for name in whole if now[name] != whole[name]} <= {"study.json"}


# --- broken steps -----------------------------------------------------------------------------


def test_broken_steps_are_set_aside_and_done_again(recipe: Path, copied: Path, ask: Asked) -> None:
    whole = contents(copied)
    steps = sorted((copied / "steps").iterdir())
    measures, compares = (
        [step for step in steps if step.name.startswith(kind)] for kind in ("measure", "compare")
    )
    located = next(step for step in steps if step.name.startswith("locate"))
    (measures[0] / "done.json").unlink()
    (measures[1] / "done.json").write_text('{"schema": 1, ')
    (located / "done.json").write_text('{"schema": 7}')
    (compares[0] / "comparison.json").write_text("{}")
    (compares[1] / "findings.json").unlink()
    broken = (*measures[:2], located, *compares)
    before = {step.name: contents(step) for step in broken}
    status, _, err = ask("run", recipe, "--out", copied)
    assert status == 0
    lines = [
        splitline
        for splitline in err.splitlines()
        if splitline.endswith("; it is set aside and done again")
    ]
    assert len(lines) == 5
    assert sum("its stored result cannot be read: " in line for line in lines) == 3
    assert sum("its stored result has schema 7; " in line for line in lines) == 1
    assert sum("has a changed or cut comparison.json; " in line for line in lines) == 1
    assert f"5 steps done, {STEPS - 5} were done before" in err
    assert {name: contents(copied / "aside" / f"{name}-1") for name in before} == before
    shutil.rmtree(copied / "aside")
    assert contents(copied) == whole


# --- a full disk ------------------------------------------------------------------------------


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_during_a_step(
    recipe: Path,
    copied: Path,
    monkeypatch: pytest.MonkeyPatch,
    ask: Asked,
) -> None:
    gone = max(step for step in (copied / "steps").iterdir() if step.name.startswith("measure"))
    shutil.rmtree(gone)
    left = contents(copied)
    monkeypatch.setattr("equipoise.study.results.pq.write_table", full)
    status, out, err = ask("run", recipe, "--out", copied)
    assert (status, out) == (2, "")
    last = err.splitlines()[-1]
    assert last == (
        f"error: the study in {copied} needs room on its disk, got: No space left on device; free "
        "some and run the same command again, what is finished is kept"
    )
    assert sum(splitline.startswith("error: ") for splitline in err.splitlines()) == 1
    assert "Traceback" not in err
    assert contents(copied) | left == contents(copied)
    monkeypatch.undo()
    assert ask("report", copied)[0] == 0
    assert "not run yet" in (copied / "report.html").read_text()


def test_a_disk_that_is_full_from_the_start(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.setattr(os, "fsync", full)
    assert "needs room on its disk" in refused("run", recipe, "--out", tmp_path / "run")
    monkeypatch.undo()
    assert "a study must have a study.json" in refused("report", tmp_path / "run")


def test_a_disk_that_fills_up_after_the_last_step(
    recipe: Path,
    copied: Path,
    monkeypatch: pytest.MonkeyPatch,
    ask: Asked,
) -> None:
    whole = contents(copied)
    replace = Path.replace

    def filled(self: Path, target: Path) -> Path:
        if Path(target).name == "report.html":
            full()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", filled)
    status, out, err = ask("run", recipe, "--out", copied)
    assert (status, out) == (2, "")
    assert "needs room on its disk, got: No space left on device; free" in err.splitlines()[-1]
    assert contents(copied) == whole
