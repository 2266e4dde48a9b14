"""A planted world's data folder, for tests of what reads data files."""

from contextlib import AbstractContextManager

from equipoise.data.sources import reading_from
from equipoise.planted.folder import world_folder


def in_world(name: str = "default") -> AbstractContextManager[None]:
    """Within the `with` block, data files are those of the world."""
    return reading_from(world_folder(name))
