"""What is shown of long work: a bar on a terminal, a line a minute elsewhere, and in a log."""

import io
import sys
from contextvars import copy_context
from pathlib import Path

import pytest

from equipoise.errors import StoreError
from equipoise.progress import bars
from equipoise.progress.bars import counted, progress
from equipoise.progress.messages import duration, report_to, say, warn


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute has passed whenever it is looked at the clock."""
    monkeypatch.setattr(bars, "_EVERY", 0.0)


def train() -> None:
    with progress("training", 4, done=1) as counter:
        counter.advance(loss=2.5)
        counter.advance(loss=2.25)


def told(*, quiet: bool = False, log: Path | None = None) -> None:
    """Train in a command that was told where to report to."""

    def command() -> None:
        report_to(quiet=quiet, log=log)
        train()
        say("an edit is there")
        warn("error: a disk is full")

    copy_context().run(command)


@pytest.mark.usefixtures("minutes")
def test_a_line_a_minute_has_step_loss_rate_and_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    train()
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("training: step 2 of 4, loss 2.5, ")
    assert second.startswith("training: step 3 of 4, loss 2.25, ")
    assert second.endswith(" left")
    assert " a second, " in second


def test_within_a_minute_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(counted("ab", "reading", 2, unit="text")) == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_many_short_tasks_are_told_of_each_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0

    def passes() -> float:
        nonlocal now
        now += 6.0
        return now

    monkeypatch.setattr(bars, "_CLOCK", bars._Clock())
    monkeypatch.setattr(bars.time, "monotonic", passes)
    for _ in range(10):  # each takes 18 seconds
        train()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2  # in three minutes, of which the last is not over
    now += 3600.0  # what is begun after a rest has its minute
    train()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("minutes")
def test_quiet_leaves_errors_alone_and_the_log_has_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "new" / "run.log"
    told(quiet=True, log=log)
    told(log=log)
    silent, *rest = capsys.readouterr().err.splitlines()
    assert silent == "error: a disk is full"
    assert len(rest) == 4
    lines = log.read_text().splitlines()
    assert len(lines) == 8
    assert [line.split(" ", 2)[2] for line in lines[2:4]] == [
        "an edit is there", "error: a disk is full",
    ]  # fmt: skip


def test_a_terminal_has_a_bar_that_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(bars, "_DELAY", 0.0)
    with progress("training", 4, done=1) as counter:
        counter.advance(loss=2.5)
        say("a note")
    drawn = terminal.getvalue()
    assert "training:  25%" in drawn
    assert "1/4" in drawn
    assert "\na note\n" in drawn.replace("\r", "\n")
    assert drawn.endswith("\r")
    told(quiet=True)
    assert terminal.getvalue() == drawn + "error: a disk is full\n"


def test_a_log_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "file" / "log"):
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="name another with --log"):
            told(log=place)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.04, "0.0 s"),
        (0.3, "0.3 s"),
        (61, "61 s"),
        (100, "2 min"),
        (11_130, "3 h 6 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
