"""Ctrl-C says what is kept and how to go on, and the same command goes on; what cannot be written
is refused before any work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from equipoise import api
from equipoise.study.execution import StepExecutor
from equipoise.training import loop

from .conftest import STEPS, Asked, Refused

WORLD = ("--data", "planted:default")
LFTF = ("--set", "lftf.epochs=1", "--set", "lftf.learning_rate=0.001")
BENCHMARKS = ("genbias", "facts", *WORLD, "--limit", 6, "--draws", 0)


def stopping(method: Callable[..., Any], *, after: int) -> Callable[..., Any]:
    """A function that is interrupted as it is called once more than `after` times."""
    calls = 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise KeyboardInterrupt
        return method(*arguments, **named)

    return call


@pytest.mark.thorough
def test_measure_keeps_finished_benchmarks_and_goes_on(
    model: Path, tmp_path: Path, ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert ask("measure", model, *BENCHMARKS, "--out", whole)[0] == 0
    command = ("measure", model, *BENCHMARKS, "--out", out)
    with monkeypatch.context() as patch:
        patch.setattr(api, "measure", stopping(api.measure, after=1))
        status, _, err = ask(*command)
    assert status == 130
    assert err.splitlines()[-1] == (
        f"stopped; 1 of 2 measurements are kept for {out}, and the same command goes on with the "
        "others"
    )
    assert not out.exists()
    asked: list[str] = []

    def count(subject: Any, benchmark: Any, **named: Any) -> Any:
        asked.append(type(benchmark).__name__)
        return measure(subject, benchmark, **named)

    measure = api.measure
    monkeypatch.setattr(api, "measure", count)
    assert ask(*command)[0] == 0
    assert asked == ["Facts"]
    assert sorted(tmp_path.iterdir()) == [out, whole]  # nothing is left beside the results
    files = [
        {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
        for folder in (whole, out)
    ]
    assert files[0] == files[1]


@pytest.mark.thorough
def test_measure_takes_nothing_that_was_measured_otherwise(
    model: Path, tmp_path: Path, ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(api, "measure", stopping(api.measure, after=1))
        assert ask("measure", model, *BENCHMARKS, "--out", out)[0] == 130
    others = (*BENCHMARKS, "--set", "genbias.split_by=both")
    with monkeypatch.context() as patch:
        patch.setattr(api, "measure", stopping(api.measure, after=0))
        status, _, err = ask("measure", model, *others, "--out", out)
    assert (status, "1 of 2 measurements are kept" in err) == (130, True)
    kept = next((tmp_path / ".out.measured").iterdir())
    (kept / "results.json").write_text("{")  # broken: measured again
    assert ask("measure", model, *BENCHMARKS, "--out", out)[0] == 0


@pytest.mark.thorough
def test_measure_without_out_says_that_nothing_is_kept(
    model: Path, ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "measure", stopping(api.measure, after=0))
    status, out, err = ask("measure", model, *BENCHMARKS)
    assert (status, out) == (130, "")
    assert err == (
        "stopped; what is printed is all that is kept; with --out, finished benchmarks are\n"
    )


@pytest.mark.thorough
def test_a_log_has_the_beginning_and_the_end_of_short_work(
    model: Path, tmp_path: Path, ask: Asked
) -> None:
    log, out = tmp_path / "log", tmp_path / "edit"
    command = ("mitigate", model, "lftf", *WORLD, *LFTF, "--out", out)
    assert ask(*command, "--log", log)[0] == 0
    first, *_, last = [line.split(" ", 2)[2] for line in log.read_text().splitlines()]
    assert first == "equipoise mitigate begins"
    assert last.startswith("equipoise mitigate ends after ")
    # what is refused has an error in place of the end
    assert ask(*command, "--log", log)[0] == 2
    last = log.read_text().splitlines()[-1]
    assert f"error: an edit must be written into a new or empty folder, got {out}" in last


@pytest.mark.thorough
def test_mitigate_goes_on_from_its_last_checkpoint(
    model: Path, tmp_path: Path, ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "is_kept", lambda steps, **_: steps % 2 == 0)
    out = tmp_path / "edit"
    command = ("mitigate", model, "lftf", *WORLD, *LFTF, "--out", out)
    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "update", stopping(loop._Training.update, after=1))
        status, said, err = ask(*command)
    assert (status, said) == (130, "")
    assert err == "stopped; nothing is kept, and the same command begins again\n"
    with monkeypatch.context() as patch:  # once the first checkpoint is written
        patch.setattr(loop._Training, "update", stopping(loop._Training.update, after=2))
        status, said, err = ask(*command)
    place = tmp_path / ".edit.training"
    assert (status, said) == (130, "")
    assert err == (
        f"stopped; what was done until shortly before is in {place}; the same command goes on\n"
    )
    steps: list[int] = []
    update = loop._Training.update

    def count(training: Any, step: int, *rest: Any) -> None:
        steps.append(step)
        update(training, step, *rest)

    monkeypatch.setattr(loop._Training, "update", count)
    assert ask(*command)[0] == 0
    assert steps[0] == 2
    assert sorted(tmp_path.iterdir()) == [out]


@pytest.mark.thorough
def test_run_says_how_many_steps_are_kept(
    recipe: Path, tmp_path: Path, ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StepExecutor, "run", stopping(StepExecutor.run, after=2))
    out = tmp_path / "run"
    status, said, err = ask("run", recipe, "--out", out, "--log", tmp_path / "log")
    assert (status, said) == (130, "")
    *steps, last = err.splitlines()
    assert [line.split(" ")[0] for line in steps] == [f"[{n}/{STEPS}]" for n in (1, 2, 3)]
    assert last == (
        f"stopped; 2 of {STEPS} steps are kept in {out}, and the same command goes on from there"
    )
    logged = (tmp_path / "log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in logged] == [
        "equipoise run begins", *err.splitlines()
    ]  # fmt: skip


@pytest.mark.thorough
def test_quiet_says_nothing_on_the_way(recipe: Path, copied: Path, ask: Asked) -> None:
    status, out, err = ask("run", recipe, "--out", copied, "--quiet")
    assert (status, err) == (0, "")
    assert "The report: " in out


@pytest.mark.thorough
@pytest.mark.parametrize(
    "command",
    [
        ("locate", "MODEL", "random_block"),
        ("attribute", "MODEL", "length", "--supply", "mix", "--out", "PLACE/new"),
        ("mitigate", "MODEL", "lftf"),
        ("inject", "MODEL", "bias_token"),
        ("measure", "MODEL", "genbias"),
        ("calibrate", "genbias"),
    ],
)
def test_an_unwritable_place_is_refused_before_any_work(
    command: tuple[str, ...],
    model: Path,
    tmp_path: Path,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_late(*_: object, **__: object) -> None:
        raise AssertionError("the model is being loaded")

    monkeypatch.setattr("equipoise.commands.flags.load_model", too_late)
    file = tmp_path / "file"
    file.touch()
    words = [w.replace("MODEL", str(model)).replace("PLACE", str(tmp_path)) for w in command]
    places = {"--log": file / "log"}
    if command[0] in ("locate", "attribute"):
        places |= {"--html": tmp_path, "--figure": file / "plot.svg"}
    else:
        places["--out"] = file / "out"
    for flag, place in places.items():
        new = (
            []
            if {"--out"} & {flag, *words} or command[0] in ("locate", "calibrate")
            else ["--out", tmp_path / "new"]
        )
        assert str(place.parent) in refused(*words, *new, flag, place)


@pytest.mark.thorough
def test_a_study_is_refused_where_it_cannot_be_kept(
    recipe: Path, tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "file").touch()
    assert "must be written to" in refused("run", recipe, "--out", tmp_path / "file" / "run")
