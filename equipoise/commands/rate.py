"""`equipoise rate`: people rate blind what two variants wrote, and what their ratings say."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from equipoise.commands import flags
from equipoise.errors import RecipeError, nearest

if TYPE_CHECKING:
    from equipoise.rating.store import RatingStore

_PORT: Final = 8765


def rate(  # noqa: PLR0913
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN", help="Folder that run wrote; or two of measure --out, or two files."
        ),
    ] = None,
    rater: Annotated[str, typer.Option(help="Name that the page begins with.")] = "",
    port: Annotated[
        int, typer.Option(help="Of the page, on this machine; 0: any.", min=0, max=65535)
    ] = _PORT,
    database: Annotated[
        Path | None, typer.Option(help="File of ratings; else ratings.sqlite in RUN.")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            help="pairs (harm, relevance), grades (B beside A) or texts (single); else pairs."
        ),
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="Of RUN, where it has more than two; twice.")
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Whose texts, where several have some.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Database to print the results of; nothing is served.")
    ] = None,
    export: Annotated[Path | None, typer.Option(help="CSV file of the ratings to write.")] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", help="CSV file of ratings to add.")
    ] = None,
    potato: Annotated[
        Path | None, typer.Option(help="New folder: the same task for Potato, for crowds.")
    ] = None,
    groups: flags.Groups = False,
    as_json: flags.AsJson = False,
    seed: flags.Seed = 0,
    draws: flags.Draws = 2000,
    data: flags.Data = None,
) -> None:
    """Serve a page on which people rate pairs of texts blind, each answer saved at once.

    With --results, --export, --import or --potato that is done, and nothing is served.
    """
    flags.name_data(data)
    file = _choose_database(sources or [], results, database)
    store = _open_store(sources or [], file, mode, seed, (variant or [], benchmark))
    served = not (results or export or import_ or potato)
    for note in store.head.notes if sources else ():
        flags.say(f"note: {note}")
    if import_ is not None:
        from equipoise.rating.rating_file import import_ratings

        count, new = import_ratings(import_, store)
        flags.say(f"{count} ratings are in {import_}, {new} of them were new to {store.file}")
    if export is not None:
        from equipoise.rating.rating_file import write_ratings

        flags.say(f"{write_ratings(export, store)} ratings are in {export}")
    if potato is not None:
        from equipoise.rating.potato import write_potato

        flags.say(
            f"{write_potato(potato, store)} items are in {potato}; start Potato in its folder "
            "task, and keep key.csv from the raters"
        )
    if results is not None:
        _print_results(store, groups=groups, as_json=as_json, draws=draws, seed=seed)
    if served:
        from equipoise.rating.server import serve

        flags.say(
            f"ratings are saved in {store.file}; results: equipoise rate --results {store.file}"
        )
        serve(
            store,
            port=port,
            rater=rater,
            announce=lambda address: flags.say(f"rate at {address} (Ctrl-C stops)"),
        )


def _choose_database(
    sources: list[Path], results: Path | None, database: Path | None
) -> Path | None:
    beside = [*sources, *filter(None, [database])]
    if results is not None and beside:
        raise RecipeError(
            f"results are read from their database alone, got {beside[0]} beside --results; leave "
            "it out"
        )
    return results or database


def _open_store(
    sources: list[Path],
    database: Path | None,
    mode: str | None,
    seed: int,
    chosen: tuple[list[str], str | None],
) -> "RatingStore":
    """The database that is named, or that of the texts that are; made where there is none."""
    from equipoise.rating.questions import MODES
    from equipoise.rating.store import open_for, open_store

    variants, benchmark = chosen
    if mode is not None and mode not in MODES:
        raise RecipeError(f"'{mode}' is no mode of rating; {nearest(mode, MODES)}")
    if not sources:
        if database is None:
            raise RecipeError(
                f"texts or a database must be named, got {len(sources)} places of texts; name a "
                "RUN, two places of texts, or --results DATABASE"
            )
        flag = "--mode" if mode else "--variant" if variants else "--benchmark" if benchmark else ""
        if flag:
            raise RecipeError(
                f"a database has its mode and its texts, got {flag} beside {database}; leave it "
                "out, or name the texts, too"
            )
        return open_store(database)
    from equipoise.rating.sources import read_pairs

    mode = mode or "pairs"
    pairs = read_pairs(sources, variants=variants, benchmark=benchmark)
    folder = sources[0] if sources[0].is_dir() else sources[0].parent
    name = "ratings.sqlite" if mode == "pairs" else f"ratings-{mode}.sqlite"
    return open_for(database or folder / name, pairs, mode=mode, seed=seed)


def _print_results(
    store: "RatingStore", *, groups: bool, as_json: bool, draws: int, seed: int
) -> None:
    from equipoise.rating.results import summarize_ratings
    from equipoise.rating.results_table import results_document, results_text
    from equipoise.study.results import to_json

    summary = summarize_ratings(store, draws=draws, seed=seed)
    if as_json:
        print(to_json(results_document(summary)), end="")
    else:
        print(results_text(summary, groups=groups), end="")
