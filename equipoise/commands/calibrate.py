"""`equipoise calibrate`: calibrate a benchmark with planted bias."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from equipoise.commands import flags


def calibrate(  # noqa: PLR0913
    benchmark: Annotated[
        str,
        typer.Argument(
            metavar="BENCHMARK", help="See list.", autocompletion=flags.completing("benchmarks")
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="New folder for the plot and table.")
    ] = None,
    strength: Annotated[
        list[float] | None, typer.Option(help="Of the planted bias, 0 to 1; may be repeated.")
    ] = None,
    worlds: Annotated[int, typer.Option(help="Worlds a strength: seeds 0, 1, …", min=1)] = 1,
    world: Annotated[
        str, typer.Option(help="Rest of each world's name: targets=40 biases words, not targets.")
    ] = "",
    settings: flags.Set = None,
    as_json: flags.AsJson = False,
    data: flags.Data = None,
    limit: flags.Limit = None,
    draws: flags.Draws = 2000,
) -> None:
    """Calibrate a benchmark with planted bias of known size.

    Measures planted models of several strengths and draws each metric against the truth.
    """
    from equipoise import calibrate as calibrating
    from equipoise import plugins
    from equipoise.benchmarks.base import Benchmark
    from equipoise.files.atomic import check_new
    from equipoise.report.calibration_plot import calibration_figure, calibration_table
    from equipoise.study.results import to_json

    flags.name_data(data)
    options = flags.parse_settings(settings, [benchmark])
    if out is not None:
        check_new(out, what="results")
    plugins.build(Benchmark, benchmark, options[benchmark])  # refused before a model is taught
    flags.hush()
    calibration = calibrating.calibrate(
        benchmark,
        options[benchmark],
        strengths=strength or calibrating.STRENGTHS,
        seeds=range(worlds),
        world=world,
        limit=limit,
        draws=draws,
    )
    document = to_json(dataclasses.asdict(calibration))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "calibration.json").write_text(document, encoding="utf-8")
        (out / "calibration.md").write_text(calibration_table(calibration), encoding="utf-8")
        (out / "calibration.svg").write_text(calibration_figure(calibration), encoding="utf-8")
        flags.say(f"the plot and table are in {out}")
    print(document if as_json else calibration_table(calibration), end="")
