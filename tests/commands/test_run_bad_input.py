"""Bad recipes and bad places: one sentence, status 2, and nothing that was there is lost.

What else is refused of a recipe and of a store is tested in tests/study.
"""

import errno
import shutil
from pathlib import Path

import pytest
from stored_results import stored

from .conftest import STEPS, Asked, Refused, Written

GENBIAS = "models: [MODEL]\ndata: planted:default\nbenchmarks:\n  - name: genbias\n"


@pytest.mark.parametrize(
    ("text", "part", "flags"),
    [
        (GENBIAS + "models: [other]\n", "line 5: a key stands once, got 'models' again", ()),
        (GENBIAS + "    splitby: both\n", "line 5: genbias has no option 'splitby'", ("--dry",)),
        (
            GENBIAS + "    split: train\nmitigations: [lftf]\nsupply: genbias\n",
            "line 4: 225 of the 225 examples of genbias (train) are among what 'lftf' learns",
            (),
        ),
    ],
)
def test_a_bad_recipe(
    written: Written,
    tmp_path: Path,
    refused: Refused,
    text: str,
    part: str,
    flags: tuple[str, ...],
) -> None:
    file = written(text)
    sentence = refused("run", file, "--out", tmp_path / "run", *flags)
    assert sentence.startswith(f"error: {file}")
    assert part in sentence


def test_missing_recipe(tmp_path: Path, refused: Refused) -> None:
    assert f"got '{tmp_path / 'none.yaml'}'" in refused("run", tmp_path / "none.yaml")


@pytest.mark.thorough
def test_out_folder_of_another_program(recipe: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "report.html").write_text("mine")
    assert f"{tmp_path} is another's" in refused("run", recipe, "--out", tmp_path)


@pytest.mark.thorough
def test_truncated_head_is_refused_with_a_remedy_that_works(
    recipe: Path, copied: Path, refused: Refused, ask: Asked
) -> None:
    whole = stored(copied)
    (copied / "study.json").write_bytes(whole["study.json"][:-20])
    said = refused("run", recipe, "--out", copied)
    assert "remove that file and run the recipe again, every finished step is kept" in said
    (copied / "study.json").unlink()
    status, _, err = ask("run", recipe, "--out", copied)
    assert (status, err) == (0, f"0 steps done, {STEPS} were done before, 0 failed\n")
    assert stored(copied).keys() == whole.keys()
    now = stored(copied)
    assert {name for name in whole if now[name] != whole[name]} <= {"study.json"}


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_during_a_step(
    recipe: Path,
    copied: Path,
    monkeypatch: pytest.MonkeyPatch,
    ask: Asked,
) -> None:
    gone = max(step for step in (copied / "steps").iterdir() if step.name.startswith("measure"))
    shutil.rmtree(gone)
    left = stored(copied)
    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    status, out, err = ask("run", recipe, "--out", copied)
    assert (status, out) == (2, "")
    last = err.splitlines()[-1]
    assert last == (
        f"error: the study in {copied} needs room on its disk, got: No space left on device; free "
        "some and run the same command again, what is finished is kept"
    )
    assert sum(line.startswith("error: ") for line in err.splitlines()) == 1
    assert "Traceback" not in err
    assert stored(copied) | left == stored(copied)
    monkeypatch.undo()
    assert ask("report", copied)[0] == 0
    assert "not run yet" in (copied / "report.html").read_text()
