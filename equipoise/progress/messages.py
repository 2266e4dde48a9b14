"""What a user is told while a command works: on standard error, and in a log. No torch."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from equipoise.errors import StoreError

NOTHING_KEPT: Final = "nothing is kept, and the same command begins again"
#: Nothing but errors and warnings on standard error.
_quiet: ContextVar[bool] = ContextVar("quiet", default=False)
#: A file that every message is added to.
_log: ContextVar[Path | None] = ContextVar("log", default=None)
_kept: ContextVar[Callable[[], str]] = ContextVar("kept", default=lambda: NOTHING_KEPT)


def report_to(*, quiet: bool, log: Path | None) -> None:
    """Settle where messages go until the end of the context (`contextvars`): a command has its own.

    Raises `StoreError` for a log that cannot be written to.
    """
    if log is not None:
        log = log.absolute()
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.open("a", encoding="utf-8").close()
        except OSError as error:
            raise StoreError(
                f"a log must be a file that can be written to, got {log}: {error.strerror}; name "
                "another with --log"
            ) from error
    _quiet.set(quiet)
    _log.set(log)


def is_quiet() -> bool:
    """Whether nothing but errors and warnings is to be seen."""
    return _quiet.get()


def say(text: str) -> None:
    """Print a line on standard error, which is no part of an answer; nothing where it is quiet."""
    if not is_quiet():
        _print(text)
    keep(text)


def warn(text: str) -> None:
    """Print a line that must be seen, an error or a warning, also where it is quiet."""
    _print(text)
    keep(text)


def when_stopped(describe: Callable[[], str]) -> None:
    """Settle what is said of what is kept, should the command be stopped from now on."""
    _kept.set(describe)


def say_stopped() -> None:
    """Say that the command was stopped, what is kept of its work, and how to go on."""
    warn(f"stopped; {_kept.get()()}")


def keep(text: str) -> None:
    """Add a line to the log, if there is one, with the time."""
    log = _log.get()
    if log is not None:
        # it could be written to when work began; a disk that is full by now stops no work
        with suppress(OSError), log.open("a", encoding="utf-8") as stream:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")


def duration(seconds: float) -> str:
    """A time as people say it: "40 s", "12 min", "3 h 5 min"."""
    if seconds < 99.5:
        return f"{seconds:.1f} s" if 0 < seconds < 0.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _print(text: str) -> None:
    # a bar moves out of the way; where there is none, tqdm was not imported
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)
    else:
        print(text, file=sys.stderr)
