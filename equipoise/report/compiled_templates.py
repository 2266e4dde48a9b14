"""Compiled templates, kept beside them in `__pycache__`, as Python keeps compiled modules.

Compiling takes longer than a page does. Whoever can write there can write the package itself, so
that nothing runs which could not run without it; jinja's own cache would unpickle.
"""

import hashlib
import importlib.util
import marshal
import os
import sys
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

import jinja2
from jinja2.bccache import Bucket

_HEAD: Final = hashlib.sha256().digest_size  # bytes


class CompiledTemplates(jinja2.BytecodeCache):
    """Code of templates by what they say, and by the versions of Python and jinja.

    `folder`: of the templates; None: where the package lies in no folder, nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder / "__pycache__"

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take the code that is kept, if it is of this template."""
        if self._folder is None:
            return
        with suppress(OSError, ValueError, EOFError, TypeError):  # none is kept, or it is broken
            content = self._file(bucket).read_bytes()
            if content[:_HEAD] == _digest(content[_HEAD:]):
                bucket.code = marshal.loads(content[_HEAD:])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code, where Python keeps its own and there is room."""
        if self._folder is None or sys.dont_write_bytecode:
            return
        file = self._file(bucket)
        part = file.with_name(f"{file.name}.{os.getpid()}")
        with suppress(OSError):
            file.parent.mkdir(exist_ok=True)
            code = marshal.dumps(bucket.code)
            part.write_bytes(_digest(code) + code)
            part.replace(file)

    def _file(self, bucket: Bucket) -> Path:
        assert self._folder is not None
        made_by = f"{importlib.util.MAGIC_NUMBER.hex()} {jinja2.__version__} {bucket.checksum}"
        tag = hashlib.sha256(made_by.encode()).hexdigest()[:16]
        return self._folder / f"{bucket.key}.{tag}.template"


def _digest(code: bytes) -> bytes:
    return hashlib.sha256(code).digest()


def template_folder(package: str, name: str) -> Path | None:
    """The folder of a package's templates; None where the package lies in a zip file."""
    folder = files(package).joinpath(name)
    return folder if isinstance(folder, Path) else None
