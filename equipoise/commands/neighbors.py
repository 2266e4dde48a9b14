"""`equipoise neighbors`: towards which countries an injected token moved."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from equipoise.commands import flags


def neighbors(
    edits: Annotated[
        list[str],
        typer.Argument(metavar="EDIT...", help="Injections of the same association, a seed each."),
    ],
    top: Annotated[int, typer.Option(help="Rows of the table.", min=1)] = 10,
    as_json: flags.AsJson = False,
    seed: flags.Seed = 0,
    base: flags.Base = None,
    dtype: flags.Dtype = "auto",
    device: flags.Device = "auto",
) -> None:
    """Rank countries by how far injecting an association moved its token towards each.

    For an association that no people has, such as blue skin: nothing should stand out.
    """
    from equipoise.edits.registry import load_edit
    from equipoise.errors import ModelError
    from equipoise.neighbors import CAUTION, country_neighbors
    from equipoise.number_text import interval
    from equipoise.report.tables import Table, plain

    loaded = [load_edit(Path(edit)) for edit in edits]
    name = base or loaded[0].info.base_name
    if not name:
        raise ModelError(
            f"the base of {edits[0]} must be on disk or on the Hub, it says "
            f"'{loaded[0].info.base}'; give it (--base)"
        )
    opened = flags.load_model(name, dtype, device, None, None, None)
    result = country_neighbors(loaded, opened, seed=seed)
    if as_json:
        print(json.dumps({**dataclasses.asdict(result), "caution": CAUTION}))
        return
    rows = [
        (
            country.country,
            f"{country.cosine:.3f}",
            f"{country.moved:.3f}",
            interval(country.z, country.low, country.high),
            f"{country.p:.3g}",
        )
        for country in result.neighbors[:top]
    ]
    header = ("country", "cosine", "moved", "z among tokens of equal frequency", "p")
    print(plain(Table(header=header, rows=tuple(rows))))
    agreement = result.reason or f"{result.agreement:.3f}"
    for note in (
        f"{result.token} of {result.association} on {result.base}, seeds {list(result.seeds)}",
        f"{len(result.neighbors)} countries that are a token, {result.left_out} that are not; "
        f"{result.controls} tokens around each; p: of the largest of all, {result.draws} draws",
        f"rank correlation between seeds (Spearman; 1: always alike): {agreement}",
        CAUTION,
    ):
        print(f"note: {note}")
