"""What is installed in this Python, read once: a file of every package is opened to find it out."""

import platform
import sys
from functools import cache, lru_cache
from importlib.metadata import EntryPoints, PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Final

#: What numbers rest on.
PACKAGES: Final = (
    "equipoise", "torch", "transformers", "tokenizers", "peft", "numpy", "scipy",
)  # fmt: skip


@cache
def version_of(package: str) -> str:
    """The version of a package, which is not imported for it; "not installed" where it is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def environment() -> dict[str, str]:
    """Versions of Python and of `PACKAGES` ("not installed" where missing), and the platform."""
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    return versions | {name: version_of(name) for name in PACKAGES}


def entry_points_of(group: str) -> EntryPoints:
    """The entry points of a group, also of a package that was installed a moment ago."""
    folders = [folder for folder in map(Path, sys.path) if folder.is_dir()]
    changes = tuple((folder, folder.stat().st_mtime_ns) for folder in folders)
    return _read_entry_points(group, changes)


@lru_cache(maxsize=64)
def _read_entry_points(
    group: str,
    folders: tuple[tuple[Path, int], ...],  # noqa: ARG001
) -> EntryPoints:
    """Those of a group, with these folders of packages, each as it was last changed."""
    return entry_points(group=group)
