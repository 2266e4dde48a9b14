"""`equipoise attribute`: which rows of a training set taught a model its bias?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise import plugins
from equipoise.commands import flags
from equipoise.errors import RecipeError
from equipoise.processes.launch import is_main_process

if TYPE_CHECKING:
    from equipoise.attribute.base import Attributor
    from equipoise.supply.base import Supplier


def attribute(  # noqa: PLR0913
    model: flags.ModelName,
    attributor: Annotated[
        str,
        typer.Argument(
            metavar="[ATTRIBUTOR]", help="See list.", autocompletion=flags.completing("attribute")
        ),
    ] = ("influence"),
    train: Annotated[
        Path | None, typer.Option(help="Training set: a .jsonl file with a text on each line, …")
    ] = None,
    probes: Annotated[
        Path | None, typer.Option(help="File of biased sentences, each with the same unbiased.")
    ] = None,
    supply: Annotated[
        str | None, typer.Option(help="Rows and probes in place of files; see list.")
    ] = None,
    baselines: Annotated[
        bool, typer.Option(help="Score by every baseline, too, and compare.")
    ] = True,
    share: Annotated[
        float, typer.Option(help="Of the rows, selected from the highest score.", min=0, max=1)
    ] = 0.35,
    top: Annotated[int, typer.Option(help="Rows to print.", min=0)] = 20,
    show_texts: Annotated[
        bool, typer.Option("--show-texts", help="Print the rows' texts, which may offend.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="New folder: scores, quality, ids of the selected rows."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Page with tables, plots and rows.")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Plots of the scores: a file .svg or .png.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a row that cannot be scored.")
    ] = False,
    settings: flags.Set = None,
    as_json: flags.AsJson = False,
    data: flags.Data = None,
    seed: flags.Seed = 0,
    draws: flags.Draws = 2000,
    dtype: flags.Dtype = "auto",
    quantize: flags.Quantize = "auto",
    device: flags.Device = "auto",
    revision: flags.Revision = None,
    base: flags.Base = None,
    batch_size: flags.BatchSize = None,
    start: flags.Start = "auto",
    trust_remote_code: flags.TrustRemoteCode = False,
) -> None:
    """Rank the rows of a training set by how much each supports the bias of the probes.

    Baselines are scored beside it, and where rows have labels it is said how well each tells them.
    With --out a command that was stopped goes on where it was.
    """
    from equipoise.attribute.base import Attributor
    from equipoise.commands.attributed import Asked, attribute_rows, show
    from equipoise.files.atomic import check_new
    from equipoise.report.figure_file import check_figure

    flags.name_data(data)
    if figure is not None:
        check_figure(figure)
    flags.check_files(html=html, figure=figure)
    if out is not None:
        check_new(out, what="an attribution")
    source = _source(train, probes, supply) or plugins.find(Attributor, attributor).taught_by
    others = _baselines(attributor) if baselines else ()
    options = flags.parse_settings(settings, [attributor, source, *others])
    built = _build(attributor, options, strict=strict)
    supplier = _supplier(source, options[source], train, probes, strict=strict)
    opened = flags.load_model(
        model, dtype, device, revision, base, batch_size, start, trust_remote_code, quantize
    )
    asked = Asked(
        supplied=supplier.supply(), share=share, top=top, seed=seed, draws=draws, texts=show_texts
    )
    named = {name: _build(name, options, strict=False) for name in others}
    attributed = attribute_rows(opened, (attributor, built), named, asked, out=out)
    if is_main_process():
        show(attributed, asked, html=html, figure=figure, as_json=as_json)


def _source(train: Path | None, probes: Path | None, supply: str | None) -> str | None:
    """The supply that is named, or "rows" for files; None: neither."""
    if train is None and probes is not None:
        raise RecipeError(
            f"--probes must stand with --train, got --probes {probes} alone; name the training "
            "set, too"
        )
    if train is not None and supply is not None:
        raise RecipeError(
            f"rows must be of --train or of --supply, got {train} and '{supply}'; leave out either"
        )
    return supply if train is None else "rows"


def _supplier(
    source: str, options: flags.Options, train: Path | None, probes: Path | None, *, strict: bool
) -> "Supplier":
    from equipoise.supply.base import Supplier

    if train is not None:
        files = {"path": str(train), "probes": None if probes is None else str(probes)}
        # all probes say what is looked for: nothing is mitigated that they could judge
        options = {"dev_share": 0.0, "strict": strict, **options, **files}
    return plugins.build(Supplier, source, options)


def _build(name: str, options: dict[str, flags.Options], *, strict: bool) -> "Attributor":
    """An attributor; under `strict` its training refuses rows, too, if it has any."""
    import dataclasses

    from equipoise.attribute.base import Attributor

    built = plugins.build(Attributor, name, options[name])
    if strict and dataclasses.is_dataclass(built):
        training = vars(built).get("training")
        if dataclasses.is_dataclass(training) and "strict" in vars(training):
            changed = dataclasses.replace(training, strict=True)
            return dataclasses.replace(built, training=changed)
    return built


def _baselines(attributor: str) -> tuple[str, ...]:
    """The baselines that are here, other than the attributor itself."""
    from equipoise.attribute.base import Attributor

    names = (name for name in plugins.available(Attributor) if name != attributor)
    return tuple(name for name in names if plugins.find(Attributor, name).baseline)
