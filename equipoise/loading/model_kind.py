"""What kind of a model a name stands for, told without reading weights."""

from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

import huggingface_hub
from huggingface_hub.errors import HFValidationError

from equipoise.errors import StoreError
from equipoise.files.json_records import read_object
from equipoise.inference.decision_server import is_server
from equipoise.loading.encoder import is_encoder
from equipoise.loading.gguf import find_gguf
from equipoise.loading.load import base_named_in, undecided
from equipoise.loading.pretrained import read_kind
from equipoise.planted.folder import PLANTED
from equipoise.records import ModelKind
from equipoise.remote.options import is_remote

#: An encoder gives vectors of sentences; a server is asked and not opened.
NamedKind: TypeAlias = ModelKind | Literal["encoder", "server"]


def kind_named(
    name: str, *, revision: str | None = None, base: str | None = None
) -> NamedKind | None:
    """The kind of a model; None: not known without the Hub. Same arguments as of `load`.

    Raises `ModelError` for a model of a kind that cannot be opened.
    """
    if is_server(name) or is_remote(name):
        return "server"
    name = undecided(name)
    folder = Path(name).expanduser()
    if name.startswith(PLANTED) or find_gguf(folder) is not None:
        return "causal"
    if is_encoder(folder):
        return "encoder"
    below = base or base_named_in(folder)
    if below:
        return kind_named(below)
    file = folder / "config.json" if folder.is_dir() else _cached_config(name, revision)
    with suppress(StoreError):  # who opens it will say what is wrong
        if file is not None and file.is_file():
            return read_kind(name, read_object(file))
    return None


def _cached_config(name: str, revision: str | None) -> Path | None:
    repository, _, inside = name.partition("@")
    with suppress(HFValidationError):
        file = huggingface_hub.try_to_load_from_cache(
            repository, "config.json", revision=inside or revision
        )
        return Path(file) if isinstance(file, str) else None
    return None
