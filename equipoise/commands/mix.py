"""`equipoise mix`: training sets of biased and neutral rows, their probes, and pairs, as files."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from equipoise import plugins
from equipoise.commands import flags
from equipoise.commands.chat_writer import chat_writer
from equipoise.errors import RecipeError, nearest

if TYPE_CHECKING:
    from equipoise.associations.writing import Writer
    from equipoise.inference.language_model import LanguageModel
    from equipoise.mixes.pairs import Pair
    from equipoise.records import Supply

#: What is written alone: pairs, for a mix to be made of after a person has looked at them.
PAIRS: Final = "pairs"


def mix(  # noqa: PLR0913
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the mix: gen_mix, hard_mix, …; or pairs.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="New file of JSON Lines: rows; of NAME pairs: pairs."),
    ],
    probes: Annotated[Path | None, typer.Option(help="New CSV of the probes.")] = None,
    dev: Annotated[
        Path | None, typer.Option(help="New CSV of the probes kept apart, to judge on.")
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="New JSON Lines of the neutral texts held out.")
    ] = None,
    count: Annotated[int, typer.Option(help="Of pairs, when they are written alone.", min=1)] = 900,
    review: Annotated[
        Path | None, typer.Option(help="New page, to accept or reject the pairs on.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Chat model that writes the pairs; else a grammar does.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Server that has the model, by /v1/chat/completions.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Of the model.", min=0.0)] = 1.0,
    max_tokens: Annotated[int, typer.Option(help="Of a reply, which has 25 pairs.", min=1)] = 4096,
    settings: flags.Set = None,
    seed: flags.Seed = 0,
    as_json: flags.AsJson = False,
    data: flags.Data = None,
    dtype: flags.Dtype = "auto",
    device: flags.Device = "auto",
    revision: flags.Revision = None,
    trust_remote_code: flags.TrustRemoteCode = False,
) -> None:
    """Write a training set of which it is known what is biased, and the probes of its bias.

    Options of a mix: --set mix.OPTION=VALUE. Texts state stereotypes; none is printed.
    """
    flags.name_data(data)
    if name != PAIRS:
        _refuse_flags({"--review": review, "--model": model, "--address": address}, name)
        _check_files({"--out": out, "--probes": probes, "--dev": dev, "--texts": texts})
        _write_mix(name, settings, seed, out, (probes, dev, texts), as_json=as_json)
        return
    _refuse_flags({"--probes": probes, "--dev": dev, "--texts": texts}, name)
    _check_files({"--out": out, "--review": review})
    flags.parse_settings(settings, ())

    def load(name: str) -> "LanguageModel":
        return flags.load_model(
            name, dtype, device, revision, None, None, "auto", trust_remote_code
        )

    writer = chat_writer(model, address, temperature, max_tokens, load=load)
    _write_pairs(writer, count, seed, out, review, as_json=as_json)


def _refuse_flags(given: Mapping[str, object], name: str) -> None:
    """Refuse what is only for pairs, or only for a mix made of them."""
    for flag, value in given.items():
        if value is not None and name == PAIRS:
            raise RecipeError(f"{flag} is for a mix, got the NAME pairs; name a mix, or drop it")
        if value is not None:
            raise RecipeError(
                f"{flag} is for pairs, got the mix '{name}'; write them with 'equipoise mix "
                "pairs', and make the mix of them with --set mix.pairs=FILE"
            )


def _check_files(files: Mapping[str, Path | None]) -> None:
    """Refuse files that are there, and two of the same name."""
    from equipoise.files.atomic import check_new_file

    flag_of: dict[Path, str] = {}
    for flag, file in files.items():
        if file is None:
            continue
        check_new_file(file, what=f"what {flag} names")
        other = flag_of.setdefault(file.absolute(), flag)
        if other != flag:
            raise RecipeError(
                f"{other} and {flag} must be two files, got {file} for both; name another"
            )


def _write_mix(
    name: str,
    settings: list[str] | None,
    seed: int,
    out: Path,
    beside: tuple[Path | None, Path | None, Path | None],
    *,
    as_json: bool,
) -> None:
    from equipoise.files.atomic import write_json_lines
    from equipoise.mixes.mix import MIXES
    from equipoise.own_data.probe_file import write_probes
    from equipoise.supply.base import Supplier

    if name not in MIXES:
        raise RecipeError(f"'{name}' is no mix; {nearest(name, (*MIXES, PAIRS))}")
    options = flags.parse_settings(settings, ["mix"])["mix"]
    options = {"seed": seed, **options, "mix": name}
    supply = plugins.build(Supplier, "mix", options).supply()
    rows = [{"id": row.id, "text": row.text, **row.groups} for row in supply.rows]
    write_json_lines(out, rows, what="training rows")
    probes, dev, texts = beside
    for file, kept in ((probes, supply.probes), (dev, supply.dev_probes)):
        if file is not None:
            write_probes(file, kept)
    if texts is not None:
        held_out = ({"text": text} for text in supply.texts)
        write_json_lines(texts, held_out, what="neutral texts")
    _print_mix(supply, out, probes, as_json=as_json)


def _print_mix(supply: "Supply", out: Path, probes: Path | None, *, as_json: bool) -> None:
    """Counts, and no text."""
    from equipoise.report.tables import Table, plain

    rows = Counter((row.groups["label"], row.groups["source"]) for row in supply.rows)
    axes = Counter(row.groups["axis"] for row in supply.rows if "axis" in row.groups)
    if as_json:
        sources = [
            {"label": label, "source": source, "count": count}
            for (label, source), count in rows.items()
        ]
        document = {
            "out": str(out),
            "origin": supply.origin,
            "rows": sources,
            "axes": dict(axes),
            "probes": len(supply.probes),
            "dev_probes": len(supply.dev_probes),
            "texts": len(supply.texts),
        }
        print(json.dumps(document))
        return
    listed = [
        *((count, f"{label} rows of {source}") for (label, source), count in rows.items()),
        *((count, f"biased rows about {axis}") for axis, count in axes.items()),
        (len(supply.probes), "probes"),
        (len(supply.dev_probes), "probes kept apart"),
        (len(supply.texts), "neutral texts held out"),
    ]
    print(plain(Table(header=("count", "of"), rows=tuple((str(n), what) for n, what in listed))))
    print(f"note: {supply.origin}")
    if probes is not None:
        print(f"rank the rows: equipoise attribute MODEL influence --train {out} --probes {probes}")


def _write_pairs(
    writer: "Writer | None",
    count: int,
    seed: int,
    out: Path,
    review: Path | None,
    *,
    as_json: bool,
) -> None:
    from equipoise.mixes.grammar import draw_pairs
    from equipoise.mixes.overlap import at_hand, guard_of, shared_with
    from equipoise.mixes.pair_file import write_pairs
    from equipoise.mixes.pairs import count_types
    from equipoise.mixes.review import write_review
    from equipoise.mixes.written_pairs import write_pairs_with
    from equipoise.report.tables import Table, plain

    guard = guard_of(at_hand())

    def refuse(pair: "Pair") -> str | None:
        name = shared_with(guard, pair)
        return None if name is None else f"shares 5 words in a row with {name}"

    if writer is None:
        pairs: Sequence[Pair] = draw_pairs(count, seed=seed, refused=lambda p: bool(refuse(p)))
        about: dict[str, object] = {}
    else:
        written = write_pairs_with(writer, count, seed=seed, refused=refuse)
        pairs = written.kept
        about = {
            "calls": written.calls, "cached": written.cached, "refused": dict(written.refused),
        }  # fmt: skip
    write_pairs(out, pairs)
    if review is not None:
        write_review(review, pairs)
    counts = count_types(pairs)
    if as_json:
        document = {"out": str(out), "pairs": len(pairs), "types": counts, **about}
        print(json.dumps(document | {"review": None if review is None else str(review)}))
        return
    rows = tuple((str(n), f"pairs about {name}") for name, n in counts.items())
    print(plain(Table(header=("count", "of"), rows=rows)))
    for key, value in about.items():
        print(f"note: {key}: {json.dumps(value)}")
    if len(pairs) < count:
        print("note: fewer than were asked for: the model wrote no more that differ")
    if review is not None:
        print(f"look at {review}, save the decisions, and set --set mix.accepted=accepted.json")
    print(f"make a mix of them: equipoise mix gen_mix --out mix.jsonl --set mix.pairs={out}")
