"""What the probe of a model told, kept for the next process that opens the same weights."""

import hashlib
import json
import platform
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import version

from pydantic import TypeAdapter, ValidationError

from equipoise.errors import StoreError
from equipoise.files.atomic import write_file
from equipoise.files.cache import cache_folder
from equipoise.inference.forward import Layout, kind_of, layout_of, take_layout
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import pad_token_id

_LAYOUTS = TypeAdapter(Layout)


def probe_once(model: LanguageModel, weights: str) -> None:
    """Probe a model (`forward.layout_of`), unless these weights were probed on such a machine.

    `weights`: hash or commit of what was loaded; empty: not known, so that nothing is kept.
    Raises `ModelError` as `probe_layout` does, of which nothing is kept.
    """
    pad = pad_token_id(model.tokenizer) if model.kind == "masked" else None
    about = [weights, *kind_of(model.module), str(pad), platform.machine(), *_versions()]
    digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    entry = cache_folder() / "layouts" / f"{digest}.json"
    with suppress(OSError, ValidationError):
        if weights:
            layout = _LAYOUTS.validate_json(entry.read_bytes(), strict=True)
            take_layout(model.module, layout, pad=pad)
            return
    record = json.dumps(asdict(layout_of(model))) + "\n"
    with suppress(StoreError):  # a cache that cannot be written only costs time
        if weights:
            write_file(entry, record.encode(), what="probed layout")


@cache  # read from files, which takes longer than the rest of a probe that is known
def _versions() -> tuple[str, ...]:
    return tuple(version(name) for name in ("equipoise", "torch", "transformers"))
