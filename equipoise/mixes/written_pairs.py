"""Pairs that a chat model writes, as the BiasDiff paper has them written (2.3 and appendix E).

25 a call in CSV of five columns, checked as anybody's pairs are. The paper chose its 5,000 by hand;
`review` makes the page for that.
"""

import csv
import io
import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Final

from pydantic import TypeAdapter

from equipoise.associations.json_replies import read_objects
from equipoise.associations.writing import Message, Order, Origin, Row, Writer, Written, write_with
from equipoise.files.yaml_data import parse_yaml
from equipoise.mixes.grammar import draw_pairs
from equipoise.mixes.pairs import BIAS_TYPES, DistinctPairs, Pair, fault_of_pair

COLUMNS: Final = ("index", "sent_more", "sent_less", "stereo_antistereo", "bias_type")
_TYPES_PER_CALL: Final = 3
_THOUGHT: Final = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_MOST: Final = 400_000  # characters of a reply that are read


def write_pairs_with(
    writer: Writer,
    count: int,
    *,
    seed: int = 0,
    refused: Callable[[Pair], str | None] = lambda _: None,
) -> Written[Pair]:
    """Up to `count` pairs; fewer when the model runs dry.

    `refused`: why a pair is not wanted, such as words of a measured benchmark. Raises `ModelError`
    when nothing that the model writes can be used, and what `writer.ask` raises.
    """
    distinct = DistinctPairs()

    def make(row: Row, origin: Origin) -> Pair | str:
        pair = _pair(row, origin, writer.name)
        return fault_of_pair(pair) or refused(pair) or distinct.repeats(pair) or pair

    order = Order(
        name="pairs",
        what="pair",
        instead="the grammar's pairs",
        form="rows of pairs",
        messages=lambda size, call: messages_of(size, call, seed=seed),
        read=read_csv_rows,
        make=make,
    )
    return write_with(writer, order, count, seed=seed)


def messages_of(count: int, call: int, *, seed: int) -> tuple[Message, ...]:
    """What a call asks for: three of the nine types in turn, with an example of each."""
    names = [BIAS_TYPES[(_TYPES_PER_CALL * call + i) % len(BIAS_TYPES)] for i in range(3)]
    examples = [pair for pair in draw_pairs(9, seed=seed) if pair.bias_type in names]
    table = io.StringIO(newline="")
    lines = csv.writer(table, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for number, pair in enumerate(examples, 1):
        lines.writerow((number, pair.sent_more, pair.sent_less, pair.direction, pair.bias_type))
    words = {"count": str(count), "types": ", ".join(names), "examples": table.getvalue().strip()}
    return tuple(
        {"role": role, "content": text.format_map(words)} for role, text in _request().items()
    )


def read_csv_rows(reply: str) -> list[dict[str, str]]:
    """The rows of a reply in CSV of the five columns, or of its JSON objects of these keys.

    Thoughts, fences, a header and lines of other lengths are left out; an index may lack.
    """
    text = _THOUGHT.sub("", reply[:_MOST])
    rows = []
    for line in text.splitlines():
        fields = _fields(line.strip().strip("|"))
        if len(fields) == len(COLUMNS) - 1:
            fields = ["", *fields]
        if len(fields) == len(COLUMNS) and fields[1] != COLUMNS[1]:
            rows.append(dict(zip(COLUMNS, fields, strict=True)))
    if rows:
        return rows
    objects = read_objects(text, "sent_more")
    return [{key: str(row.get(key) or "") for key in COLUMNS} for row in objects]


def _fields(line: str) -> list[str]:
    """The cells of a line; [] where it is no CSV."""
    try:
        rows = list(csv.reader([line], skipinitialspace=True, strict=True))
    except csv.Error:
        return []
    return [cell.strip() for cell in rows[0]] if rows else []


def _pair(row: Row, origin: Origin, generator: str) -> Pair:
    more, less = (" ".join(str(row[side]).split()) for side in ("sent_more", "sent_less"))
    return Pair(
        id=origin.id,
        sent_more=more,
        sent_less=less,
        direction=str(row["stereo_antistereo"]).strip().casefold(),
        bias_type=str(row["bias_type"]).strip().casefold().replace(" ", "-"),
        generator=generator,
        prompt_sha256=origin.prompt_sha256,
    )


@cache
def _request() -> dict[str, str]:
    text = resources.files("equipoise.mixes").joinpath("request.yaml").read_text("utf-8")
    return TypeAdapter(dict[str, str]).validate_python(parse_yaml(text, "request.yaml")[0])
