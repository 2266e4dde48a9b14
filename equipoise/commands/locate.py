"""`equipoise locate`: rank the blocks or heads of a model."""

import dataclasses
import math
import sys
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from equipoise import plugins
from equipoise.commands import flags
from equipoise.processes.launch import is_main_process

if TYPE_CHECKING:
    from equipoise.conclusions import Ranking, RankStability, TopOverlap

_SHOWN = 20  # heads in a table: there may be a thousand


def locate(  # noqa: PLR0913
    model: flags.ModelName,
    locator: flags.LocatorName = "block_influence",
    supply: Annotated[
        str | None, typer.Option(help="What is ranked on; see list. The locator's usual supply.")
    ] = None,
    settings: flags.Set = None,
    as_json: flags.AsJson = False,
    data: flags.Data = None,
    seed: flags.Seed = 0,
    seeds: Annotated[
        int,
        typer.Option(help="Ask so often, each time on other prompts: is the order stable?", min=1),
    ] = 1,
    sample: Annotated[
        int | None, typer.Option(help="Prompts each time, with --seeds; 100.", min=1)
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(help="Heads of each seed that are compared, with --seeds; 10.", min=1),
    ] = None,
    html: flags.Html = None,
    figure: Annotated[
        Path | None, typer.Option(help="Heat map of layers and heads: a file .svg or .png.")
    ] = None,
    dtype: flags.Dtype = "auto",
    quantize: flags.Quantize = "auto",
    device: flags.Device = "auto",
    revision: flags.Revision = None,
    base: flags.Base = None,
    batch_size: flags.BatchSize = None,
    start: flags.Start = "auto",
    trust_remote_code: flags.TrustRemoteCode = False,
) -> None:
    """Rank the blocks or attention heads of a model: where its bias may sit.

    With --seeds the ranking is made on several samples of prompts, with their rank correlation and,
    of heads, with those that are among the first of every sample.
    """
    from equipoise import api
    from equipoise.errors import RecipeError
    from equipoise.locate.base import Locator
    from equipoise.report.figure_file import check_figure
    from equipoise.report.heat_map import write_heat_map
    from equipoise.report.html import write_study_page
    from equipoise.study.study import Located, Study
    from equipoise.supply.base import Supplier

    if seeds == 1 and (sample is not None or top is not None):
        raise RecipeError(
            "--sample and --top must stand with --seeds of 2 at least, a single ranking is of all "
            f"prompts, got --sample {sample} and --top {top}; leave them out"
        )
    if figure is not None:
        check_figure(figure)
    flags.check_files(html=html, figure=figure)
    flags.name_data(data)
    supply = supply or plugins.find(Locator, locator).taught_by
    options = flags.parse_settings(settings, [locator, supply])
    built = plugins.build(Locator, locator, options[locator])
    learnt = plugins.build(Supplier, supply, options[supply])
    opened = flags.load_model(
        model, dtype, device, revision, base, batch_size, start, trust_remote_code, quantize
    )
    # a page shows how well rankings agree, also that nothing can be said of a single ranking
    if seeds == 1 and html is None:
        ranking = api.locate(opened, built, supply=learnt, seed=seed)
        if figure is not None and is_main_process():
            flags.say(f"the figure is {write_heat_map(figure, [ranking], title=opened.identity)}")
        _print_ranking(ranking, as_json=as_json)
        return
    all_seeds = range(seed, seed + seeds)
    # of a single seed all prompts, with and without a page
    each = sys.maxsize if seeds == 1 else sample or 100
    stability = api.stability(opened, built, supply=learnt, seeds=all_seeds, sample=each, top=top)
    if figure is not None and is_main_process():
        written = write_heat_map(figure, stability.rankings, title=opened.identity)
        flags.say(f"the figure is {written}")
    if html is not None and is_main_process():
        located = Located(model=opened.identity, locator=locator, stability=stability)
        title = f"{locator} on {opened.identity}"
        page = write_study_page(html, Study(title=title, recipe={}, located=(located,)))
        flags.say(f"the page is {page}")
    _print_stability(stability, as_json=as_json)


def _print_ranking(ranking: "Ranking", *, as_json: bool) -> None:
    from equipoise.files.json_records import record_json
    from equipoise.number_text import interval
    from equipoise.report.tables import Table, plain

    if as_json:
        print(record_json({**dataclasses.asdict(ranking), "order": ranking.order}))
        return
    header = [ranking.kind, f"{ranking.locator} ({ranking.unit})"]
    header += ["p, all corrected"] * bool(ranking.p) + ["share"] * bool(ranking.share)
    shown = ranking.order if ranking.kind == "block" else ranking.order[:_SHOWN]
    rows = []
    for component in shown:
        row = [
            ranking.label(component),
            interval(ranking.scores[component], ranking.low[component], ranking.high[component]),
        ]
        row += [f"{ranking.p[component]:.3g}"] if ranking.p else []
        row += [_percent(ranking.share[component])] if ranking.share else []
        rows.append(tuple(row))
    print(plain(Table(header=tuple(header), rows=tuple(rows))))
    notes = [f"{ranking.prompts} prompts, intervals over them"]
    if len(shown) < len(ranking.order):
        notes.append(
            f"the first {len(shown)} of {len(ranking.order)} {ranking.kind}s; --json has all"
        )
    if ranking.chosen is not None:
        names = ", ".join(map(ranking.label, ranking.chosen)) or "none"
        notes.append(f"{ranking.kind}s that pass: {names}")
    notes += [f"{name}: {value:.4g}" for name, value in ranking.facts.items()]
    for note in (*notes, *ranking.notes):
        print(f"note: {note}")


def _percent(share: float) -> str:
    return "n/a" if math.isnan(share) else f"{share:.1%}"


def _print_stability(stability: "RankStability", *, as_json: bool) -> None:
    from equipoise.files.json_records import record_json
    from equipoise.report.tables import Table, plain
    from equipoise.stats.stability import score_variances

    variances = score_variances(stability.rankings)
    if as_json:
        spread = {"variances": variances, "mean_variance": fmean(variances)}
        print(record_json({**dataclasses.asdict(stability), **spread}))
        return
    first = stability.rankings[0]
    scores = np.array([ranking.scores for ranking in stability.rankings])  # [seed, component]
    # stable: ties in the order of the model, as in `Ranking.order`
    order = np.argsort(-scores.mean(axis=0), kind="stable").tolist()
    rows = [
        (
            first.label(component),
            f"{scores[:, component].mean():.4g}",
            f"{scores[:, component].min():.4g} to {scores[:, component].max():.4g}",
            f"{variances[component]:.3g}",
            str(stability.first.get(component, 0)),
        )
        for component in (order if first.kind == "block" else order[:_SHOWN])
    ]
    mean = f"{first.locator} ({first.unit}), mean"
    header = (first.kind, mean, "range over seeds", "variance", "times first")
    print(plain(Table(header=header, rows=tuple(rows))))
    agree = f"mean {stability.spearman:.3f}, smallest {stability.spearman_low:.3f}"
    notes = [
        f"{len(scores)} seeds, {stability.sample} prompts each",
        f"variance over seeds, mean over {first.kind}s: {fmean(variances):.3g}",
        f"rank correlation between seeds (Spearman; 1: always alike): {stability.reason or agree}",
    ]
    if stability.top is not None:
        notes.append(_describe_overlap(stability.top, first))
    for note in (*notes, *first.notes):
        print(f"note: {note}")


def _describe_overlap(top: "TopOverlap", ranking: "Ranking") -> str:
    names = ", ".join(map(ranking.label, top.shared)) or "none"
    shown = f"{top.p:.2g}" if top.reason is None else f"not given: {top.reason}"
    return (
        f"of the first {top.k_requested} {ranking.kind}s of each seed {top.k_effective} are shared "
        f"by all: {names} (by chance {top.chance:.2g}, p {shown}; Jaccard {top.jaccard:.2f}, "
        f"Kendall's tau {top.kendall:.2f})"
    )
