"""Programs of our own, harmless ones, each ending in another way."""

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from equipoise.code_execution import execution
from equipoise.code_execution.execution import FAILURES, Ending, run_program
from equipoise.errors import ModelError


def ending(source: str, *, seconds: int = 2, megabytes: int = 512) -> Ending:
    return run_program(source, seconds=seconds, megabytes=megabytes)


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("assert sum([1, 2]) == 3", "passed", ""),
        ("print('x' * 10_000)\nimport math, re, typing", "passed", ""),
        ("def f(:\n", "syntax", "invalid syntax"),
        ("x = '\0'", "syntax", "null bytes"),
        ("assert 1 == 2, 'one is not two'", "assertion", "one is not two"),
        ("[][1]", "error", "IndexError"),
        ("import sys\nsys.exit(0)\nassert False", "error", "SystemExit: 0"),
        ("import os\nos._exit(0)\nassert False", "crash", "exit status 0"),
        ("x = bytearray(2**31)", "memory", ""),
    ],
)
def test_endings(source: str, kind: str, message: str) -> None:
    ended = ending(source)
    assert ended.kind == kind
    assert message in ended.message
    assert kind == "passed" or kind in FAILURES


@pytest.mark.thorough
def test_endless_and_waiting_programs_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ending("while True: pass", seconds=1).kind == "timeout"
    monkeypatch.setattr(execution, "_PATIENCE", 0.5)
    assert ending("import time\ntime.sleep(60)", seconds=1).kind == "timeout"


def test_a_program_has_a_folder_and_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_USER", "x")
    source = (
        "import os\nassert os.listdir() == []\nopen('mine', 'w').write('x')\n"
        "assert os.listdir() == ['mine']\nos.remove('mine')\n"
        "assert 'SECRET_OF_THE_USER' not in os.environ\n"
        "assert 'equipoise' not in __import__('sys').modules\n"
    )
    assert ending(source) == Ending(kind="passed", message="")


@pytest.mark.parametrize(
    "attempt",
    [
        "open({file!r}, 'w')",
        "import os; os.remove({file!r})",
        "import os; os.rename({file!r}, 'a')",
        "import os; os.remove('precious', dir_fd=os.open({folder!r}, os.O_RDONLY))",
        "import os; os.truncate({file!r}, 0)",
        "import os; os.chmod(os.open({file!r}, os.O_RDONLY), 0)",
        "import shutil; shutil.rmtree({folder!r})",
        "import sqlite3; sqlite3.connect({file!r})",
    ],
)
def test_files_of_others_are_not_written(attempt: str, tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("kept")
    ended = ending(attempt.format(file=str(file), folder=str(tmp_path)))
    assert (ended.kind, ended.message[:15]) == ("error", "PermissionError")
    assert file.read_text() == "kept"


@pytest.mark.parametrize(
    "attempt",
    [
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.fork()",
        "import os; os.kill(os.getppid(), 0)",
        "import multiprocessing as m; m.get_context('spawn').Process(target=print).start()",
    ],
)
def test_other_processes_are_refused(attempt: str) -> None:
    ended = ending(attempt)
    assert (ended.kind, ended.message[:15]) == ("error", "PermissionError")


@pytest.mark.parametrize(
    "source",
    [
        "import tempfile\nwith tempfile.TemporaryDirectory() as it: open(it + '/a', 'w').close()",
        "import tempfile\nwith tempfile.TemporaryFile() as it: it.write(b'x')",
        "import os, shutil\nos.makedirs('a/b')\nopen('c', 'w').close()\nshutil.copy('c', 'a/b')\n"
        "shutil.rmtree('a')\nassert os.listdir() == ['c']",
        "import asyncio\nasync def f(): return 3\nassert asyncio.run(f()) == 3",
        "import sqlite3; sqlite3.connect(':memory:').execute('create table a (b)')",
        # what is done only where a program is called is not done, as with the papers' `exec`
        "if __name__ == '__main__': input('How many? ')",
    ],
)
def test_what_a_program_may_do(source: str) -> None:
    assert ending(source) == Ending(kind="passed", message="")


def test_a_program_that_waits_ends_though_nobody_ends_it(tmp_path: Path) -> None:
    """As where the process that measures is killed."""
    file = tmp_path / "waits.py"
    file.write_text("import time\ntime.sleep(60)")
    command = [sys.executable, "-I", execution._CHILD, file, "1", "512", "0.1"]
    ended = subprocess.run(command, cwd=tmp_path, timeout=30, check=False, stdout=subprocess.PIPE)
    assert ended.returncode == -signal.SIGALRM
    assert execution._read_ending(ended.stdout, ended.returncode).kind == "timeout"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_program_has_started_is_killed() -> None:
    """A process that is started past Python, which refuses it, is of the program's group."""
    ended = ending(
        "import ctypes, time\n"
        "child = ctypes.CDLL(None).fork()\n"
        "if child == 0:\n    time.sleep(60)\n"
        "assert False, child\n"
    )
    assert ended.kind == "assertion"
    status = Path(f"/proc/{int(ended.message)}/stat")

    def is_gone() -> bool:
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"

    patience = time.monotonic() + 10  # a signal arrives when the process is next scheduled
    while not is_gone() and time.monotonic() < patience:
        time.sleep(0.01)
    assert is_gone()


def test_the_network_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reached: list[object] = []
        server.settimeout(1.0)

        def listen() -> None:
            try:
                reached.append(server.accept())
            except TimeoutError:
                return

        listening = threading.Thread(target=listen)
        listening.start()
        ended = ending(f"import socket; socket.create_connection(('127.0.0.1', {port}))")
        listening.join()
    assert ended.kind == "error"
    assert reached == []


def test_systems_without_limits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution.os, "name", "nt")
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ModelError, match="only where the system limits them, got 'win32'"):
        run_program("pass", seconds=1, megabytes=512)
