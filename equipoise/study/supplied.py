"""What the supplies of a recipe give, each read once, and the hashes by which it is known."""

import dataclasses
import hashlib
import json
from collections.abc import Callable

from equipoise.records import JSON, Supply
from equipoise.rows import documents_of, text_sha256
from equipoise.study.recipe import Spec


class Supplied:
    """Supplies by what they are made with, each read once."""

    def __init__(self, resolve: Callable[[Spec], tuple[Supply, dict[str, JSON]]]) -> None:
        self._resolve = resolve
        self._known: dict[str, tuple[Supply, dict[str, JSON]]] = {}
        self._hashes: dict[str, frozenset[str]] = {}

    def of(self, spec: Spec) -> tuple[Supply, dict[str, JSON]]:
        """What is supplied, and its content."""
        name = json.dumps([spec.name, dict(spec.options)], sort_keys=True)
        if name not in self._known:
            self._known[name] = self._resolve(spec)
        return self._known[name]

    def hashes(self, spec: Spec) -> frozenset[str]:
        """Of its texts, and of what its rows are passages of."""
        supply, content = self.of(spec)
        known = str(content["sha256"])
        if known not in self._hashes:
            texts = map(text_sha256, supply.learnt_texts())
            self._hashes[known] = frozenset(texts).union(documents_of(supply.rows))
        return self._hashes[known]


def supply_sha256(supply: Supply) -> str:
    """Hash of all that is supplied, for its files may be others than those that are measured.

    Rows are gone through a row at a time. A supply that has none hashes as it did before there
    were any, so that studies of other methods keep their steps.
    """
    parts = dataclasses.asdict(dataclasses.replace(supply, rows=()))
    for name in ("rows", "probes", "dev_probes", "aliases"):
        if not parts[name]:
            del parts[name]
    for name in ("prompts", "hinted", "dev", "paragraphs", "questions"):
        for prompt in parts[name]:
            if not prompt["words"]:
                del prompt["words"]
    if len(supply.rows):
        digest = hashlib.sha256()
        for row in supply.rows:
            values = dataclasses.asdict(row)
            # only where they are, so that other rows hash as they did
            for name in ("context", "document"):
                if not values[name]:
                    del values[name]
            digest.update(json.dumps(values, sort_keys=True).encode() + b"\n")
        parts["rows"] = digest.hexdigest()
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
