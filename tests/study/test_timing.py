"""How long steps take, and how long the rest of a study does."""

import os
from pathlib import Path
from typing import Any

import pytest

from equipoise.study.runner import _Schedule
from equipoise.study.store import Store
from equipoise.study.timing import Timing


def described(number: int, *, kind: str = "measure", model: str = "tiny") -> dict[str, Any]:
    """A step as `study.json` has it."""
    what = {"key": f"{kind}-{number}", "kind": kind, "model": model}
    return {**what, "mitigation": None, "benchmark": "genbias", "plugin": None}


def test_the_median_is_of_all_that_are_done() -> None:
    timing = Timing()
    assert timing.expect(described(9)) is None
    for number, (seconds, expected) in enumerate([(2, 2), (4, 3), (90, 4)]):
        timing.add(described(number), seconds)
        assert timing.expect(described(9)) == expected
    assert timing.expect(described(9, model="other")) is None


def test_time_left_is_told_from_one_look_at_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look for each step is hours in a study of thousands on a disk behind a network."""
    store = Store.open(tmp_path / "run")
    steps = [described(number) for number in range(5_000)]
    for number in range(10):
        store.step(f"measure-{number}").mkdir()  # by another process
    timing = Timing()
    timing.add(steps[10], 6.0)
    looks: list[Any] = []
    listdir = os.listdir

    def look(folder: Path) -> list[str]:
        looks.append(folder)
        return listdir(folder)

    monkeypatch.setattr("os.listdir", look)
    monkeypatch.setattr("os.stat", lambda *_, **__: pytest.fail("a step was looked for"))
    schedule = _Schedule(
        plan=None,  # type: ignore[arg-type]
        store=store,
        say=print,
        described={step["key"]: step for step in steps},
        timing=timing,
        settled={"measure-10"},
    )
    left = schedule._time_left()
    monkeypatch.undo()
    assert looks == [store.folder / "steps"]
    assert left == " (about 8 h 19 min left)"


def test_what_is_kept_and_logged(tmp_path: Path) -> None:
    store = Store(folder=tmp_path / "run")
    assert store.kept() == store.logged() == set()
    store = Store.open(store.folder)
    store.step("a").mkdir()
    store.log_of("b").write_text("12:00 b, begun on here\n")
    assert (store.kept(), store.logged()) == ({"a"}, {"b"})
