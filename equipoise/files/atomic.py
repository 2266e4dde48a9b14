"""Writing a page or a table whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from equipoise.errors import StoreError


def write_whole(file: Path, text: str, *, what: str) -> Path:
    """Put a text in place, UTF-8 with plain line ends; gives the file back.

    `what` is what an error calls it: "page", "table". Raises `StoreError`, and then a file that
    was there is as it was.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(file)
    except OSError as error:
        raise StoreError(
            f"cannot write the {what} {file}: {error}; choose another place"
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    return file
