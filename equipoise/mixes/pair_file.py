"""Pairs of a file, and what a person decided about them on the review page.

JSON Lines as `write_pairs` writes them, CrowS-Pairs' columns, or any form of rows with the columns
`sent_more`, `sent_less`, `bias_type` and `direction` (or `stereo_antistereo`).
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

from annotated_types import Len

from equipoise.data.documents import read_content
from equipoise.data.validation import Record, read_record
from equipoise.errors import DataError
from equipoise.files.atomic import write_json_lines
from equipoise.files.parsing import parse_json, unpack
from equipoise.files.rows import FileRow, columns_of, read_rows, show_columns
from equipoise.mixes.pairs import DistinctPairs, Pair, fault_of_pair
from equipoise.records import DataUse

_NEEDED: Final = ("sent_more", "sent_less", "bias_type")
_DIRECTIONS: Final = ("direction", "stereo_antistereo")
_IDS: Final = ("id", "index", "", "Unnamed: 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFile:
    """Pairs of a file, and how many of its rows repeated others or were not accepted."""

    pairs: tuple[Pair, ...]
    repeated: int
    rejected: int
    use: DataUse


class _Decisions(Record):
    accepted: Annotated[list[str], Len(1)]


def read_pair_file(file: str, accepted: str | None = None) -> PairFile:
    """The pairs of a file in its order, without repetitions exact and near.

    `accepted`: the file of decisions that the review page gives; what it does not accept is left
    out. Raises `DataError` naming file and row: a text that is missing, or a pair that is none
    (`fault_of_pair`); and for decisions about pairs that are not in the file.
    """
    content, use = read_content(file)
    rows = read_rows(unpack(content, use.name), use.name)
    columns = columns_of(rows)
    direction = next((column for column in _DIRECTIONS if column in columns), None)
    missing = [column for column in _NEEDED if column not in columns]
    if missing or direction is None:
        raise DataError(
            f"{use.name} must have a column '{(*missing, _DIRECTIONS[0])[0]}', got "
            f"{show_columns(columns)}; rename one, or add it"
        )
    pairs = [
        _pair(row, direction, next((id for id in _IDS if id in columns), None)) for row in rows
    ]
    _refuse_repeated_ids(pairs, rows)
    chosen = set(_accepted(accepted, pairs, use.name))
    distinct, kept, repeated = DistinctPairs(), list[Pair](), 0
    for pair in pairs:
        if pair.id not in chosen:
            continue
        if distinct.repeats(pair) is None:
            kept.append(pair)
        else:
            repeated += 1
    rejected = len(pairs) - len(chosen)
    return PairFile(pairs=tuple(kept), repeated=repeated, rejected=rejected, use=use)


def write_pairs(file: Path, pairs: Iterable[Pair]) -> Path:
    """Write pairs as JSON Lines, which `read_pair_file` reads. Raises `StoreError`."""
    lines = ({key: value for key, value in asdict(pair).items() if value != ""} for pair in pairs)
    return write_json_lines(file, lines, what="pairs")


def _pair(row: FileRow, direction: str, ids: str | None) -> Pair:
    pair = Pair(
        id=row.label(ids) or row.place,
        sent_more=" ".join(row.text("sent_more").split()),
        sent_less=" ".join(row.text("sent_less").split()),
        direction=row.label(direction) or "",
        bias_type=row.label("bias_type") or "",
        generator=row.label("generator") or "own",
        prompt_sha256=row.label("prompt_sha256") or "",
        frame=row.label("frame") or "",
        neutral=" ".join((row.label("neutral") or "").split()),
    )
    fault = fault_of_pair(pair)
    if fault is not None:
        raise DataError(f"{row.where}: the pair {fault}; correct it, or take the row out")
    return pair


def _refuse_repeated_ids(pairs: list[Pair], rows: list[FileRow]) -> None:
    seen: set[str] = set()
    for pair, row in zip(pairs, rows, strict=True):
        if pair.id in seen:
            raise DataError(
                f"{row.where}: id '{pair.id[:60]}' must be there once, got it twice; correct it"
            )
        seen.add(pair.id)


def _accepted(file: str | None, pairs: list[Pair], name: str) -> list[str]:
    ids = [pair.id for pair in pairs]
    if file is None:
        return ids
    content, use = read_content(file)
    decisions = read_record(_Decisions, parse_json(content, use.name), use.name)
    unknown = set(decisions.accepted) - set(ids)
    if unknown:
        raise DataError(
            f"{use.name} must decide about the pairs of {name}, got {len(unknown)} ids that are "
            "not in it; name the file of pairs whose page was reviewed"
        )
    return decisions.accepted
