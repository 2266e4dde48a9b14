"""`equipoise data`: which benchmark files are here, and fetching those that can be fetched."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from equipoise.commands import flags
from equipoise.errors import DataError, OptionError, RecipeError, nearest

if TYPE_CHECKING:
    from equipoise.benchmarks.base import AnyBenchmark

IN_PACKAGES: Final = ("bbq",)  # benchmarks whose files come out of a package of the index


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFiles:
    """The files of a benchmark's split."""

    benchmark: str
    split: str
    state: str  # "official", "other" (some are not known official files), "own" or "missing"
    files: int
    others: tuple[str, ...] = ()  # those that are not official
    reason: str = ""  # what is missing, and what to do


def data(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A benchmark whose files to fetch; none: list all.",
            autocompletion=flags.completing("benchmarks"),
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Of bbq: data folder; else $EQUIPOISE_DATA or the cache."),
    ] = None,
    as_json: flags.AsJson = False,
) -> None:
    """List which benchmark files are here and official, or fetch those of a benchmark.

    Files are known by their hashes. Fetched are bbq, out of a package of the index, and what has an
    address of its own; each is checked. Listing fetches nothing.
    """
    from equipoise.data.sources import not_fetching

    if name is None:
        if out is not None:
            raise RecipeError(f"--out is for files to be fetched, got {out} alone; name bbq, too")
        with not_fetching():
            _print([each for benchmark in _names() for each in _look_up(benchmark)], as_json)
        return
    if name in IN_PACKAGES:
        from equipoise.data import bbq_package

        said = bbq_package.fetch(out)
        print(json.dumps({"data": name, "said": said}) if as_json else said)
        return
    if name not in _names():
        raise RecipeError(f"'{name}' is no data set to fetch; {nearest(name, _names())}")
    if out is not None:
        raise RecipeError(
            f"--out is for {', '.join(IN_PACKAGES)}, got {out} for {name}, whose files are "
            "kept in the cache; leave it out"
        )
    looked_up = list(_look_up(name))
    missing = [each for each in looked_up if each.state == "missing"]
    if missing:
        raise DataError(missing[0].reason)
    _print(looked_up, as_json)


def _names() -> list[str]:
    from equipoise import plugins
    from equipoise.benchmarks.base import Benchmark

    return [name for name in plugins.available(Benchmark) if _built(name) is not None]


def _built(name: str) -> "AnyBenchmark | None":
    """A benchmark with its usual files; None: they are the user's own, or a world's."""
    from equipoise import plugins
    from equipoise.benchmarks.base import Benchmark

    if name in ("harness", "planted"):
        return None
    for options in ({}, {"judge": "lexicon"}, {"allow_code": True}):
        try:
            return plugins.build(Benchmark, name, options)
        except OptionError:  # of a file of the user's own
            continue
    return None


def _look_up(name: str) -> Iterator[SplitFiles]:
    built = _built(name)
    for split in () if built is None else built.splits:
        try:
            uses = () if built is None else built.files(split)
        except DataError as error:
            why = " ".join(str(error).split())
            yield SplitFiles(benchmark=name, split=split, state="missing", files=0, reason=why)
            continue
        others = tuple(use.name for use in uses if use.verified is False)
        is_yours = bool(uses) and all(use.verified is None for use in uses)
        state = "other" if others else "own" if is_yours else "official"
        yield SplitFiles(benchmark=name, split=split, state=state, files=len(uses), others=others)


def _print(splits: list[SplitFiles], as_json: bool) -> None:
    from equipoise.report.tables import Table, plain

    if as_json:
        print(json.dumps([asdict(each) for each in splits]))
        return
    rows = []
    for each in splits:
        shown = each.reason.partition(";")[0] or ", ".join(each.others[:2])
        more = f" and {len(each.others) - 2} more" if len(each.others) > 2 else ""
        count = str(each.files) if each.files else ""
        rows.append((each.benchmark, each.split, each.state, count, shown + more))
    header = ("benchmark", "split", "state", "files", "which are missing, or not official")
    print(plain(Table(header=header, rows=tuple(rows))))
    print("note: official by hash; equipoise data NAME fetches what can be fetched")
