"""A page on which a person accepts or rejects pairs, behind a content warning.

It needs no network and no server: decisions are kept in the browser (`localStorage`) and saved as
a JSON file, which the supply `mix` takes as `accepted`.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from equipoise.files.atomic import write_file
from equipoise.mixes.pairs import Pair

_SHOWN = ("id", "sent_more", "sent_less", "direction", "bias_type")


def write_review(file: Path, pairs: Sequence[Pair]) -> Path:
    """Write the page of these pairs. Raises `StoreError`."""
    rows = [{key: getattr(pair, key) for key in _SHOWN} for pair in pairs]
    # in JSON "<" may be written as a number, so that no text can end the script
    text = json.dumps(rows).replace("<", "\\u003c")
    page = resources.files("equipoise.mixes").joinpath("review.html").read_text("utf-8")
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    # the key first: a pair may hold what stands for it
    return write_file(
        file, page.replace("{{key}}", key).replace("{{pairs}}", text), what="page of pairs"
    )
