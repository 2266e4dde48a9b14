"""Where what was downloaded or computed is kept, and the hashes of files that were read before."""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from equipoise.errors import StoreError
from equipoise.files.atomic import sha256, write_file


def cache_folder() -> Path:
    """The folder that `EQUIPOISE_CACHE` names, else `~/.cache/equipoise`; it need not exist."""
    name = os.environ.get("EQUIPOISE_CACHE")
    return Path(name).expanduser() if name else Path.home() / ".cache" / "equipoise"


def cached_sha256(file: Path) -> str:
    """sha256 (hex) of a file's bytes, read anew only when its path, size or times have changed.

    Raises `OSError`.
    """
    about = file.stat()
    # A copy may keep size and time of change of the file that it replaces, not these two.
    times = f"{about.st_mtime_ns} {about.st_ctime_ns} {about.st_ino}"
    key = f"{file.resolve()} {about.st_size} {times}"
    entry = cache_folder() / "sha256" / hashlib.sha256(key.encode()).hexdigest()
    with suppress(OSError):
        cached = entry.read_text(encoding="ascii")
        if re.fullmatch("[0-9a-f]{64}", cached):
            return cached
    digest = sha256(file)
    with suppress(StoreError):  # a cache that cannot be written only costs time
        write_file(entry, digest, what="cached hash")
    return digest
