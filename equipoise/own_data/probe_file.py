"""Probes of the user's own: biased sentences, each with the same sentence unbiased or alone.

A file of rows in any usual form (CSV, JSON Lines, …). CrowS-Pairs' columns are read as they are;
of another file the columns are named, or guessed by their names. A row without an anti-stereotype
is a probe of its stereotype alone.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from equipoise.errors import DataError
from equipoise.files.atomic import write_file
from equipoise.files.rows import FileRow
from equipoise.own_data.columns import AXIS, ID, Layout, Role, find_columns, ids_of, read_own_file
from equipoise.own_data.pairs import ANTISTEREOTYPE, DIRECTION, STEREOTYPE
from equipoise.records import DataUse
from equipoise.rows import Probe, text_sha256

#: What `write_probes` writes.
COLUMNS: Final = ("id", "sent_more", "sent_less", "stereo_antistereo", "bias_type")
ROLES: Final[tuple[Role, ...]] = (
    replace(
        STEREOTYPE, usual=(*STEREOTYPE.usual, frozenset({"text", "sentence", "sent", "probe"}))
    ),
    replace(ANTISTEREOTYPE, needed=False),
    AXIS,
    DIRECTION,
    ID,
)


def read_probes(path: str | Path, named: Mapping[str, str] | None = None) -> tuple[Probe, ...]:
    """The probes of a file in its order; groups are "axis" and "direction" where it has them.

    `named`: which column holds what, by the names of `ROLES`. Raises `DataError` naming file and
    row: no column of stereotypes, a missing sentence, two equal sentences of a pair, an id that is
    there twice, or several rows that are all the same probe.
    """
    return read_probe_file(path, named)[0]


def read_probe_file(
    path: str | Path, named: Mapping[str, str] | None = None
) -> tuple[tuple[Probe, ...], DataUse]:
    """As `read_probes`, with what a result records about the file."""
    source = read_own_file(str(path))
    layout = find_columns(source, ROLES, named or {}, plugin=None)
    ids = ids_of(source, layout, plugin=None)
    probes = tuple(_probe(row, layout, id) for row, id in zip(source.rows, ids, strict=True))
    different = {tuple(" ".join(text.split()) for text in probe.texts) for probe in probes}
    if len(probes) > 1 and len(different) == 1:
        raise DataError(
            f"{source.use.name} must have probes that differ, got {len(probes)} rows of the same "
            "texts; leave only the first, or name a file of more"
        )
    return probes, source.use


def sharing_no_text(candidates: Sequence[Probe], probes: Sequence[Probe]) -> tuple[Probe, ...]:
    """The candidates of which no sentence is one of the probes', but for case and spaces.

    What was removed by a probe must not be judged on the same sentence.
    """
    known = {text_sha256(text) for probe in probes for text in probe.texts}
    return tuple(
        candidate for candidate in candidates if known.isdisjoint(map(text_sha256, candidate.texts))
    )


def write_probes(file: Path, probes: Sequence[Probe]) -> Path:
    """Write probes as CSV, which `read_probes` reads. Raises `StoreError`."""
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for probe in probes:
        axis, direction = (probe.groups.get(key, "") for key in ("axis", "direction"))
        row = (probe.id, probe.stereotype, probe.antistereotype or "", direction, axis)
        writer.writerow(row)
    return write_file(file, table.getvalue(), what="probes")


def _probe(row: FileRow, layout: Layout, id: str) -> Probe:
    stereotype = row.text(layout.columns[STEREOTYPE.name]).strip()
    other = layout.text(row, ANTISTEREOTYPE.name)
    if other is not None and " ".join(other.split()) == " ".join(stereotype.split()):
        raise DataError(
            f"{row.where}: stereotype and antistereotype must differ, got the same text of "
            f"{len(stereotype)} characters twice; correct the row, or leave the second empty"
        )
    labels = {role.name: layout.label(row, role.name) for role in (AXIS, DIRECTION)}
    return Probe(
        id=id,
        stereotype=stereotype,
        antistereotype=None if other is None else other.strip(),
        groups={name: label for name, label in labels.items() if label is not None},
    )
