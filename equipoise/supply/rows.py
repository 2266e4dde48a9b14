"""The user's own training set: rows of a file, with probes of another.

For `finetune`, for attributors, and for the mitigations that unlearn rows or train without them.
The rows are read when they are needed (`own_data.row_file`), so the file may be large.
"""

import math
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.data.documents import read_content, read_documents
from equipoise.own_data.probe_file import read_probe_file, sharing_no_text
from equipoise.own_data.row_file import RowFile
from equipoise.records import OPTIONS, DataUse, Supply
from equipoise.rows import Probe
from equipoise.supply.base import Supplier


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class RowsSupply(Supplier):
    """A training set of your own: rows, and probes that say which bias is looked for in them."""

    version: ClassVar[str] = "2"

    path: str  # of rows: .jsonl, .txt or .tsv, also in the data folder; also .gz or .xz
    probes: str | None = None  # a file of biased sentences, with the same unbiased; None: none
    #: of the probes, drawn by supply_seed: kept apart, to judge what was removed, but for those
    #: that share a sentence with one that selects
    dev_share: Annotated[float, Field(ge=0, lt=1)] = 0.2
    supply_seed: Annotated[int, Field(ge=0)] = 0  # which probes are kept apart
    texts: str | None = None  # a file of neutral texts, to hold the rest of the model in place
    strict: bool = False  # a row without words is an error, and not left out

    def supply(self) -> Supply:
        """Rows and probes in the order of their files.

        Raises `DataError` naming file and line.
        """
        rows = RowFile(self.path, strict=self.strict)
        uses = [rows.use]
        probes: tuple[Probe, ...] = ()
        texts: tuple[str, ...] = ()
        if self.probes is not None:
            probes, use = read_probe_file(self.probes)
            uses.append(use)
        if self.texts is not None:
            documents, use = read_documents(self.texts)
            texts = tuple(documents.values())
            uses.append(use)
        apart = _draw(len(probes), self.dev_share, self.supply_seed)
        selecting = tuple(probe for place, probe in enumerate(probes) if place not in apart)
        judging = sharing_no_text([probes[place] for place in sorted(apart)], selecting)
        origin = rows.use.name
        if rows.left_out:
            origin += f", {rows.left_out} without words left out"
        if len(judging) < len(apart):
            repeated = len(apart) - len(judging)
            origin += f", {repeated} probes kept apart left out as they repeat others"
        return Supply(
            origin=f"rows({origin})",
            rows=rows,
            probes=selecting,
            dev_probes=judging,
            texts=texts,
            files=tuple(uses),
        )

    def files(self) -> tuple[DataUse, ...]:
        """The files."""
        others = (self.probes, self.texts)
        named = [read_content(file)[1] for file in others if file is not None]
        return (RowFile(self.path, strict=self.strict).use, *named)


def _draw(count: int, share: float, seed: int) -> set[int]:
    """Places of a share of them, at most all but one."""
    size = min(math.floor(share * count + 0.5), count - 1)
    if size < 1:
        return set()
    return set(np.random.default_rng(seed).permutation(count)[:size].tolist())
