"""`equipoise locate`: rank the blocks of a model."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from equipoise import plugins
from equipoise.commands import flags

if TYPE_CHECKING:
    from equipoise.conclusions import Ranking, RankStability


def locate(  # noqa: PLR0913
    model: flags.ModelName,
    locator: Annotated[str, typer.Argument(metavar="[LOCATOR]", help="See list.")] = (
        "block_influence"
    ),
    supply: Annotated[str, typer.Option(help="What is learnt from; see list.")] = "genbias",
    settings: flags.Set = None,
    as_json: flags.AsJson = False,
    data: flags.Data = None,
    seed: flags.Seed = 0,
    seeds: Annotated[
        int,
        typer.Option(help="Ask so often, each time on other prompts: is the order stable?", min=1),
    ] = 1,
    sample: Annotated[int, typer.Option(help="Prompts each time, with --seeds.", min=1)] = 100,
    html: Annotated[Path | None, typer.Option(help="Page with a plot, with --seeds.")] = None,
    dtype: flags.Dtype = "auto",
    device: flags.Device = "auto",
    revision: flags.Revision = None,
    base: flags.Base = None,
    batch_size: flags.BatchSize = None,
    start: flags.Start = "auto",
    trust_remote_code: flags.TrustRemoteCode = False,
) -> None:
    """Rank the blocks of a model: where its bias may sit.

    With --seeds the ranking is made on several samples of prompts, with their rank correlation.
    """
    from equipoise import api
    from equipoise.locate.base import Locator
    from equipoise.report.html import write_study_page
    from equipoise.study.study import Located, Study
    from equipoise.supply.base import Supplier

    flags.name_data(data)
    options = flags.parse_settings(settings, [locator, supply])
    built = plugins.build(Locator, locator, options[locator])
    learnt = plugins.build(Supplier, supply, options[supply])
    opened = flags.load_model(
        model, dtype, device, revision, base, batch_size, start, trust_remote_code
    )
    # a page shows how well rankings agree, also that nothing can be said of a single one
    if seeds == 1 and html is None:
        _print_ranking(api.locate(opened, built, supply=learnt, seed=seed), as_json=as_json)
        return
    all_seeds = range(seed, seed + seeds)
    stability = api.stability(opened, built, supply=learnt, seeds=all_seeds, sample=sample)
    if html is not None:
        located = Located(model=opened.identity, locator=locator, stability=stability)
        title = f"{locator} on {opened.identity}"
        page = write_study_page(html, Study(title=title, recipe={}, located=(located,)))
        flags.say(f"the page is {page}")
    _print_stability(stability, as_json=as_json)


def _print_ranking(ranking: "Ranking", *, as_json: bool) -> None:
    from equipoise.report.formatting import interval
    from equipoise.report.tables import Table, plain

    if as_json:
        print(json.dumps({**dataclasses.asdict(ranking), "order": ranking.order}))
        return
    rows = []
    for block in ranking.order:
        score = interval(ranking.scores[block], ranking.low[block], ranking.high[block])
        rows.append((ranking.label(block), score))
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
    first = stability.rankings[0]
    scores = np.array([ranking.scores for ranking in stability.rankings])  # [seed, block]
    rows = [
        (
            first.label(block),
            f"{scores[:, block].mean():.4g}",
            f"{scores[:, block].min():.4g} to {scores[:, block].max():.4g}",
            str(stability.first.get(block, 0)),
        )
        # stable: ties in the order of the model, as in `Ranking.order`
        for block in np.argsort(-scores.mean(axis=0), kind="stable").tolist()
    ]
    mean = f"{first.locator} ({first.unit}), mean"
    header = (first.kind, mean, "range over seeds", "times first")
    print(plain(Table(header=header, rows=tuple(rows))))
    agree = f"mean {stability.spearman:.3f}, smallest {stability.spearman_low:.3f}"
    for note in (
        f"{len(scores)} seeds, {stability.sample} prompts each",
        f"rank correlation between seeds (Spearman; 1: always alike): {stability.reason or agree}",
        *first.notes,
    ):
        print(f"note: {note}")
