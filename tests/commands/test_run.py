"""`equipoise run`: what is said and kept, and what a failed or stopped run leaves."""

import json
import re
import shutil
from pathlib import Path

import pytest
from stored_results import stored

from equipoise.edits.registry import load_edit
from equipoise.mitigate.lftf import Lftf

from .conftest import STEPS, Asked


def without_seed_1(folder: Path) -> Path:
    """Take the edit of seed 1 out of a study, and all that rests on it."""
    removed = 0
    for step in (folder / "steps").iterdir():
        title = json.loads((step / "step.json").read_text())["title"]
        if title.endswith("parity, seed 1") or title.startswith("compare "):
            shutil.rmtree(step)
            removed += 1
    assert removed == 1 + 2 + 2
    return folder


@pytest.mark.thorough
def test_dry_run_names_every_step_and_writes_nothing(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Asked
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = ask("run", recipe, "--dry")
    *steps, last = out.splitlines()
    assert (status, err) == (0, "")
    # of a step that measures or fits there are tokens and parameters, of others there are none
    assert re.fullmatch(
        rf"{STEPS} steps in runs/small, {STEPS} to do: at a guess [\d.]+ s for {STEPS - 3} steps, "
        "from their tokens and the model's parameters, since none like them was done; how long 3 "
        "steps take is not known, none like them was done",
        last,
    )
    assert len(steps) == STEPS
    assert all(re.match(r"to do +\?[\d.]+ s  (measure|fit)-|to do +[lc]o", each) for each in steps)
    assert steps[0].endswith("measure genbias on tiny")
    assert steps[-1].endswith("compare stereoset on tiny with parity")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.thorough
def test_dry_run_names_finished_steps(recipe: Path, copied: Path, ask: Asked) -> None:
    without_seed_1(copied)
    before = stored(copied)
    status, out, _ = ask("run", recipe, "--dry", "--out", copied)
    *steps, last = out.splitlines()
    states = [line.split()[0] for line in steps]
    assert status == 0
    # like those of the first seed, which are in the log
    assert re.search(rf"^{STEPS} steps in .*, 5 to do: about [\d.]+ s$", last)
    assert all(re.match(r"(to do +~|done +)[\d.]+ s  [a-z]+-", step) for step in steps)
    assert (states.count("done"), states.count("to")) == (STEPS - 5, 5)
    assert stored(copied) == before


def test_each_edit_has_a_folder_with_its_results(finished: Path) -> None:
    published = sorted((finished / "edits").iterdir())
    assert [item.name for item in published] == ["tiny-parity-seed0", "tiny-parity-seed1"]
    assert [load_edit(item).info.seed for item in published] == [0, 1]
    cards = [(item / "README.md").read_text() for item in published]
    for seed, card in enumerate(cards):
        assert len(re.findall(r"\| genbias +\| afgb +\|", card)) == 1
        assert card.count(f"seeds of the method: {seed};") == 2  # benchmarks


@pytest.mark.thorough
def test_failed_step_exits_with_1_and_keeps_the_rest(
    recipe: Path, copied: Path, monkeypatch: pytest.MonkeyPatch, ask: Asked
) -> None:
    without_seed_1(copied)
    shutil.rmtree(copied / "edits")

    def fails(*_: object, seed: int, **__: object) -> None:
        raise RuntimeError(f"seed {seed} went\nwrong")

    monkeypatch.setattr(Lftf, "fit", fails)
    status, out, err = ask("run", recipe, "--out", copied)
    assert status == 1
    assert "Traceback" not in err
    assert "fit on tiny with parity, seed 1 failed: seed 1 went wrong\n" in err
    # both comparisons are made anew, of the one seed that there is
    assert err.endswith(f"2 steps done, {STEPS - 5} were done before, 3 failed\n")
    assert "parity on tiny: " in out
    assert [entry.name for entry in (copied / "edits").iterdir()] == ["tiny-parity-seed0"]

    status, _, _ = ask("report", copied)
    assert status == 0
    page = (copied / "report.html").read_text()
    assert "fit on tiny with parity, seed 1" in page
    assert "seed 1 went wrong" in page
    assert "which has no result" in page
    assert "made with 1 of 2 seeds" in page


@pytest.mark.thorough
def test_interrupted_run_resumes(
    recipe: Path, copied: Path, monkeypatch: pytest.MonkeyPatch, ask: Asked
) -> None:
    whole = stored(copied)
    shutil.rmtree(max(part for part in (copied / "steps").iterdir() if part.name.startswith("fit")))

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Lftf, "fit", interrupted)
    status, out, err = ask("run", recipe, "--out", copied)
    assert (status, out) == (130, "")
    assert err.splitlines()[-1].startswith(f"stopped; {STEPS - 1} of {STEPS} steps are kept in ")
    assert "Traceback" not in err
    monkeypatch.undo()
    status, out, err = ask("run", recipe, "--out", copied)
    assert status == 0
    assert err.endswith(f"1 steps done, {STEPS - 1} were done before, 0 failed\n")
    first, *_, last = out.strip().splitlines()
    assert first.startswith("parity on tiny: ")
    assert last == f"The report: {copied / 'report.html'}"
    assert stored(copied) == whole
