"""What settles a model whose name stays while its files change: hashes, without loading it."""

from contextlib import suppress
from pathlib import Path

from equipoise.errors import StoreError
from equipoise.loading.checkpoint import content_sha256
from equipoise.loading.gguf import find_gguf
from equipoise.loading.load import base_named_in, undecided
from equipoise.planted.folder import PLANTED
from equipoise.planted.model import cache_key
from equipoise.planted.teaching import Budget
from equipoise.planted.world import find_world


def content_of(name: str, *, code: bool = False) -> str | None:
    """A hash of a planted model, a GGUF file or a folder; None where the name settles it.

    `code`: its Python code is part of it. Raises `RecipeError` for an unknown planted model.
    """
    if name.startswith(PLANTED):
        world = find_world(name)
        # as `load_planted` has it taught: with the usual budget and the world's own seed
        return cache_key(world, Budget(), seed=world.seed)
    folder = Path(name).expanduser()
    gguf = find_gguf(folder)
    if gguf is not None:
        return gguf.sha256
    return content_sha256(folder, code=code) if folder.is_dir() else None


def base_contents_of(name: str, *, base: str | None = None, code: bool = False) -> list[str]:
    """Hashes of the bases that are not of the Hub: that of an edit, the base's own, ….

    A base may be trained again in its folder, under a name that stays. `base`: in place of the
    base that the edit names.
    """
    contents: list[str] = []
    name = undecided(name)
    passed: set[str] = set()
    while name not in passed:
        passed.add(name)
        if base is None:
            with suppress(StoreError):  # a damaged edit: who loads it will say so
                base = base_named_in(Path(name).expanduser())
        if not base:
            break
        content = content_of(base, code=code)
        contents += [] if content is None else [content]
        name, base = base, None
    return contents


def contents_of(name: str) -> list[str]:
    """The hashes of a model and of its bases; empty for a model of the Hub."""
    content = content_of(undecided(name))
    return [*([] if content is None else [content]), *base_contents_of(name)]


def whole_path(name: str) -> str:
    """A folder's full path, so that an option means the same wherever it is read; else the name."""
    place = Path(undecided(name)).expanduser()
    return str(place.resolve()) if place.exists() else undecided(name)
