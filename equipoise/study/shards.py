"""Outcomes of an unfinished measurement, stored shard by shard, each with its hash."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equipoise.errors import StoreError
from equipoise.files.atomic import sha256
from equipoise.records import Outcome
from equipoise.study.results import read_outcomes, write_outcomes
from equipoise.study.store import Store, as_place_error, to_text

SIZE = 500  # part of what results depend on: it settles which requests share a batch


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptShards:
    """`measure.Shards` in a store's folder of unfinished steps."""

    store: Store
    key: str
    size: int

    def read(self, number: int) -> tuple[Outcome, ...] | None:
        """A complete shard; None for a missing or broken shard and for another size."""
        file, seal = self._files(number)
        try:
            sealed = json.loads(seal.read_text(encoding="utf-8"))
            if sealed["size"] != self.size or sealed["sha256"] != sha256(file):
                return None
            return read_outcomes(file)
        except (OSError, ValueError, KeyError, TypeError, StoreError):
            return None

    def write(self, number: int, outcomes: Sequence[Outcome]) -> None:
        """Write the outcomes, then the seal; without the seal there is no shard."""
        file, seal = self._files(number)
        with as_place_error(self.store.folder):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_outcomes(file, outcomes)
        self.store.write_file(seal, to_text({"sha256": sha256(file), "size": self.size}))

    def _files(self, number: int) -> tuple[Path, Path]:
        folder = self.store.part(self.key)
        return folder / f"outcomes-{number:06d}.parquet", folder / f"outcomes-{number:06d}.json"
