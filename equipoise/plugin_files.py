"""A plug-in in a file of its own: loaded by its path, where it fails, and what it reads unsaid."""

import hashlib
import importlib.util
import os
import sys
import sysconfig
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType, ModuleType

from equipoise.errors import RecipeError
from equipoise.files.atomic import sha256

#: Where nobody's data is: Python's own files and installed packages.
_LIBRARIES = tuple({*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix})
_CODE = (".py", ".pyc", ".so", ".pyd")

#: What plug-ins in files of their own have read, while somebody wants to know.
_reads: ContextVar[dict[Path, str] | None] = ContextVar("reads", default=None)
_hooked: list[bool] = []  # an audit hook cannot be taken back


def load_file(path: Path) -> ModuleType:
    """The module of a file, run once in a process.

    Raises `RecipeError` where the file is missing or fails, naming the line.
    """
    if not path.is_file():
        raise RecipeError(f"plug-in file '{path}' does not exist; check the path")
    # named by its path, so that two files of the same name are two modules
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    name = f"equipoise_plugin_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"plug-in file '{path}' cannot be loaded as Python; check the file")
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__equipoise_path__"] = str(path)
    module.__dict__["__equipoise_sha256__"] = hashlib.sha256(path.read_bytes()).hexdigest()
    # registered before it runs: dataclasses look their own module up
    sys.modules[name] = module
    try:
        with noticing_reads() as reads:
            spec.loader.exec_module(module)
        module.__dict__["__equipoise_reads__"] = reads
    # half a module must not be what the next attempt finds, also after Ctrl-C
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception):
            raise
        line = error.lineno if isinstance(error, SyntaxError) else _line_in(error, name)
        where = f" in line {line}" if line else ""
        what = error.msg if isinstance(error, SyntaxError) else error
        raise RecipeError(
            f"plug-in file '{path}' must run as Python, got {type(error).__name__}: {what}{where}; "
            "fix the file"
        ) from error
    return module


def _line_in(error: BaseException, module: str) -> int | None:
    """The line of a module, by its name, in which an error arose, the innermost; None: in none."""
    lines = [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") == module
    ]
    return lines[-1] if lines else None


def slip_in_plugin(error: BaseException) -> str | None:
    """A sentence on an error that arose in a plug-in's file: where, and what; None: in no file.

    The innermost line of ours decides: an error inside of a plug-in that our code raised about what
    it was given is the plug-in's, too.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    for frame, line in reversed(frames):
        path = frame.f_globals.get("__equipoise_path__")
        if path is not None:
            what = f"{type(error).__name__}: {error}"
            return (
                f"plug-in file '{path}' must not fail, got {what} in line {line} "
                f"({frame.f_code.co_name}); fix it there"
            )
    return None


@contextmanager
def noticing_reads() -> Iterator[dict[Path, str]]:
    """In this block: the files that plug-ins in files of their own open to read, and which plug-in.

    What a library opens for a plug-in counts, what Equipoise opens does not: it is in results
    already. Files that are opened past Python (by Arrow, by SQLite) are not noticed.
    """
    if not _hooked:
        sys.addaudithook(_notice)
        _hooked.append(True)
    reads: dict[Path, str] = {}
    token = _reads.set(reads)
    try:
        yield reads
    finally:
        _reads.reset(token)


def unnamed_reads(
    plugin: object, reads: Mapping[Path, str], named: Collection[str]
) -> tuple[str, ...]:
    """Sentences on files that a plug-in read, now or when it was loaded, without naming them.

    `named`: hashes (sha256, hex) of the files that it names.
    """
    module = sys.modules[type(plugin).__module__]
    all_reads = {**vars(module).get("__equipoise_reads__", {}), **reads}
    return tuple(
        f"{path} reads {file.name}, which its `files` do not name: results have no hash of it, and "
        "a study does not see that it changed; name it there"
        for file, path in all_reads.items()
        if file.is_file() and sha256(file) not in named
    )


def _notice(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or (reads := _reads.get()) is None:
        return
    file, mode, flags = arguments
    writes = isinstance(mode, str) and not {"w", "a", "x", "+"}.isdisjoint(mode)
    writes |= isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
    if writes or not isinstance(file, str | bytes | os.PathLike):
        return
    name = os.fsdecode(file)
    if name.endswith(_CODE) or os.path.abspath(name).startswith((*_LIBRARIES, "/proc", "/dev")):
        return
    plugin = _plugin_behind(sys._getframe(1))
    if plugin is not None:
        reads.setdefault(Path(name).absolute(), plugin)


def _plugin_behind(frame: FrameType | None) -> str | None:
    """The path of the plug-in whose code asked for this, with nothing but libraries between."""
    while frame is not None:
        if path := frame.f_globals.get("__equipoise_path__"):
            return str(path)
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == "equipoise":
            return None
        frame = frame.f_back
    return None
