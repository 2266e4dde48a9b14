"""What runs a program, in a process of its own: limits first, then the program, then a report.

Started by `execution`, with Python alone and none of this package: `child.py PROGRAM SECONDS MB`,
in a temporary folder, with a file for the report as standard output.
"""

import ctypes
import json
import os
import resource
import runpy
import sys
from pathlib import Path
from typing import NoReturn

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of Linux
_MOST_BYTES_WRITTEN = 16 * 2**20  # of a file
#: Audit events that are refused: the network, other processes, and files of others.
_REFUSED = (
    "socket.", "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.kill",
    "os.killpg", "os.posix_spawn", "os.spawn", "os.chmod", "os.chown", "pty.spawn",
)  # fmt: skip
_CHANGES = (
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _limit(seconds: int, megabytes: int) -> None:
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, megabytes * 2**20),
        (resource.RLIMIT_FSIZE, _MOST_BYTES_WRITTEN),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):  # macOS knows no limit of the address space
            continue


def _leave_network() -> None:
    """Enter a network of one's own, without any device, where the system lets a user do so."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_NETWORK)


def _refuse_outside(folder: str) -> None:
    """Refuse what `_REFUSED` names, and to change anything outside the folder, until the end."""

    def outside(path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return True  # a descriptor, of which the place is not known
        place = os.path.realpath(os.fsdecode(path))
        return place != os.devnull and not place.startswith(folder + os.sep)

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(_REFUSED):
            raise PermissionError(f"a program that is tested must not use {event}")
        if event == "open":
            path, _mode, flags = arguments
            writes = isinstance(flags, int) and flags & _WRITING
            if writes and not isinstance(path, int) and outside(path):
                raise PermissionError(f"a program that is tested must not write {path!r}")
        elif event in _CHANGES and any(
            outside(path) for path in arguments[:2] if not isinstance(path, int)
        ):
            raise PermissionError(f"a program that is tested must not use {event} elsewhere")

    sys.addaudithook(audit)


def _run(file: str) -> tuple[str, str]:
    """How the program ended, and what it said."""
    source = Path(file).read_bytes().decode("utf-8", "surrogatepass")
    try:
        compile(source, "program.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:  # ValueError: a zero byte
        return "syntax", str(error)
    except (MemoryError, RecursionError) as error:
        return "memory", type(error).__name__
    try:
        runpy.run_path(file, run_name="__main__")
    except AssertionError as error:
        return "assertion", str(error)
    except MemoryError:
        return "memory", ""
    except BaseException as error:  # SystemExit, too: the tests after it have not run
        return "error", f"{type(error).__name__}: {error}"
    return "passed", ""


def main(file: str, seconds: str, megabytes: str) -> NoReturn:
    """Run the file and write its ending; never returns, whatever the program has started."""
    report, null = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    _leave_network()
    _limit(int(seconds), int(megabytes))
    _refuse_outside(os.path.realpath(os.getcwd()))
    kind, message = _run(file)
    os.write(report, json.dumps([kind, message[:200]]).encode())
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
