"""What runs a program, in a process of its own: limits first, then the program, then a report.

Started by `execution`, with Python alone and none of this package: `child.py PROGRAM SECONDS MB
PATIENCE`, in a temporary folder, with a file for the report as standard output. PATIENCE is in
seconds by the clock.
"""

import _posixsubprocess
import ctypes
import fcntl
import json
import os
import resource
import runpy
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of Linux
_MOST_BYTES_WRITTEN = 16 * 2**20  # of a file
#: Audit events that are refused: the network and other processes.
_REFUSED = (
    "socket.", "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.kill",
    "os.killpg", "os.posix_spawn", "os.spawn", "os.chown", "pty.spawn",
)  # fmt: skip
#: Audit events that change files: for each file the places of its path and of the descriptor of the
#: folder that the path is relative to, among the event's arguments.
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.chmod": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "sqlite3.connect": ((0, None),),
}
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


def _path_of(descriptor: int) -> str:
    """Where an open file or folder is; "" where the system does not say."""
    try:
        if sys.platform == "linux":
            return os.readlink(f"/proc/self/fd/{descriptor}")
        return os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    except (AttributeError, OSError):
        return ""


def _is_outside(folder: str, path: object, relative_to: object = None) -> bool:
    """Whether a path, or an open file, lies elsewhere; `relative_to`: a folder's descriptor."""
    if isinstance(path, int):
        place = _path_of(path)
    elif isinstance(path, str | bytes | os.PathLike):
        named = os.fsdecode(path)
        if isinstance(relative_to, int) and relative_to >= 0:
            # an absolute path stays as it is
            named = os.path.join(_path_of(relative_to) or os.sep, named)
        place = os.path.realpath(named)
    else:
        return True
    # the folder itself is opened for a file without a name
    return place not in (folder, os.devnull) and not place.startswith(folder + os.sep)


def _refuse_outside(folder: str) -> None:
    """Refuse what `_REFUSED` names, and to change anything outside the folder, until the end."""

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.__new__" and arguments[1] == socket.AF_UNIX:
            return  # a pair within the process, as asyncio has; to connect to another is refused
        if event.startswith(_REFUSED):
            raise PermissionError(f"a program that is tested must not use {event}")
        if event == "open":
            path, _mode, flags = arguments
            writes = isinstance(flags, int) and flags & _WRITING
            if writes and not isinstance(path, int) and _is_outside(folder, path):
                raise PermissionError(f"a program that is tested must not write {path!r}")
        elif event in _CHANGES and any(
            _is_outside(folder, arguments[path], None if base is None else arguments[base])
            for path, base in _CHANGES[event]
        ):
            raise PermissionError(f"a program that is tested must not use {event} elsewhere")

    def fork_exec(command: object, *_: object) -> NoReturn:
        raise PermissionError(f"a program that is tested must not use {command!r}")

    sys.addaudithook(audit)
    _posixsubprocess.fork_exec = fork_exec  # multiprocessing uses it, and no event tells of it


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
        # not as "__main__": what a program does when it is called is not what is tested
        runpy.run_path(file, run_name="program")
    except AssertionError as error:
        return "assertion", str(error)
    except MemoryError:
        return "memory", ""
    except BaseException as error:  # SystemExit, too: the tests after it have not run
        return "error", f"{type(error).__name__}: {error}"
    return "passed", ""


def main(file: str, seconds: str, megabytes: str, patience: str) -> NoReturn:
    """Run the file and write its ending; never returns, whatever the program has started."""
    # where the process that started this one is killed, nobody else ends a program that waits
    signal.setitimer(signal.ITIMER_REAL, float(patience))
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
