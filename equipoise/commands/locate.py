"""`equipoise locate`: rank the blocks of a model."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise import plugins
from equipoise.commands.flags import (
    AsJson,
    Base,
    BatchSize,
    Data,
    Device,
    Dtype,
    ModelName,
    Revision,
    Seed,
    Set,
    SupplyName,
    load_model,
    name_data,
    parse_settings,
    say,
)

if TYPE_CHECKING:
    from equipoise.conclusions import Ranking, RankStability


def locate(  # noqa: PLR0913
    model: ModelName,
    locator: Annotated[str, typer.Argument(metavar="[LOCATOR]", help="See list.")] = (
        "block_influence"
    ),
    supply: SupplyName = "genbias",
    settings: Set = None,
    as_json: AsJson = False,
    data: Data = None,
    seed: Seed = 0,
    seeds: Annotated[
        int,
        typer.Option(help="Ask so often, each time on other prompts: is the order stable?", min=1),
    ] = 1,
    sample: Annotated[int, typer.Option(help="Prompts each time, with --seeds.", min=1)] = 100,
    html: Annotated[Path | None, typer.Option(help="Page with a plot, with --seeds.")] = None,
    dtype: Dtype = "auto",
    device: Device = "auto",
    revision: Revision = None,
    base: Base = None,
    batch_size: BatchSize = None,
) -> None:
    """Rank the blocks of a model: where its bias may sit.

    With --seeds the ranking is made on several samples of prompts, with their rank correlation.
    """
    from equipoise import api
    from equipoise.locate.base import Locator
    from equipoise.supply.base import Supplier

    name_data(data)
    options = parse_settings(settings, [locator, supply])
    built = plugins.build(Locator, locator, options[locator])
    learnt = plugins.build(Supplier, supply, options[supply])
    opened = load_model(model, dtype, device, revision, base, batch_size)
    if seeds == 1 and html is None:
        _print_ranking(api.locate(opened, built, supply=learnt, seed=seed), as_json=as_json)
        return
    all_seeds = range(seed, seed + seeds)
    stability = api.stability(opened, built, supply=learnt, seeds=all_seeds, sample=sample)
    if html is not None:
        _write_page(html, stability, model=opened.identity, locator=locator)
    _print_stability(stability, as_json=as_json)


def _print_ranking(ranking: "Ranking", *, as_json: bool) -> None:
    from equipoise.report.sentences import interval
    from equipoise.report.tables import Table, plain

    if as_json:
        print(json.dumps({**dataclasses.asdict(ranking), "order": ranking.order}))
        return
    rows = [
        (
            ranking.label(block),
            interval(ranking.scores[block], ranking.low[block], ranking.high[block]),
        )
        for block in ranking.order
    ]
    header = (ranking.kind, f"{ranking.locator} ({ranking.unit})")
    print(plain(Table(header=header, rows=tuple(rows))))
    for note in (f"{ranking.prompts} prompts, intervals over them", *ranking.notes):
        print(f"note: {note}")


def _print_stability(stability: "RankStability", *, as_json: bool) -> None:
    from equipoise.files.json_records import record_json
    from equipoise.report.tables import Table, plain

    if as_json:
        print(record_json(stability))
        return
    blocks = range(len(stability.rankings[0].scores))
    scores = [[ranking.scores[block] for ranking in stability.rankings] for block in blocks]
    rows = [
        (
            stability.rankings[0].label(block),
            f"{sum(scores[block]) / len(scores[block]):.4g}",
            f"{min(scores[block]):.4g} to {max(scores[block]):.4g}",
            str(stability.first.get(block, 0)),
        )
        for block in sorted(blocks, key=lambda block: -sum(scores[block]))
    ]
    first = stability.rankings[0]
    header = (
        first.kind,
        f"{first.locator} ({first.unit}), mean",
        "range over seeds",
        "times first",
    )
    print(plain(Table(header=header, rows=tuple(rows))))
    print(f"note: {len(stability.rankings)} seeds, {stability.sample} prompts each")
    agree = (
        stability.reason or f"mean {stability.spearman:.3f}, smallest {stability.spearman_low:.3f}"
    )
    print(f"note: rank correlation between seeds (Spearman; 1: always alike): {agree}")
    for note in first.notes:
        print(f"note: {note}")


def _write_page(file: Path, stability: "RankStability", *, model: str, locator: str) -> None:
    from equipoise.report.html import write_study_page
    from equipoise.study.study import Located, Study

    located = Located(model=model, locator=locator, stability=stability)
    study = Study(title=f"{locator} on {model}", recipe={}, located=(located,))
    say(f"the page is {write_study_page(file, study)}")
