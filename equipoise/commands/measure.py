"""`equipoise measure`: measure a model on benchmarks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.commands import flags

if TYPE_CHECKING:
    from equipoise.inference.language_model import LanguageModel


def measure(  # noqa: PLR0913
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Hub id, folder (model, adapter, edit), planted:NAME or predictions:FILE[#COLUMN]",
        ),
    ],
    benchmarks: Annotated[list[str], typer.Argument(metavar="BENCHMARK...", help="See list.")],
    settings: flags.Set = None,
    groups: flags.Groups = False,
    as_json: flags.AsJson = False,
    data: flags.Data = None,
    out: Annotated[Path | None, typer.Option(help="New folder to keep the results in.")] = None,
    limit: flags.Limit = None,
    seed: flags.Seed = 0,
    draws: flags.Draws = 2000,
    split: Annotated[str | None, typer.Option(help="Else each benchmark's first.")] = None,
    dtype: flags.Dtype = "auto",
    device: flags.Device = "auto",
    revision: flags.Revision = None,
    base: flags.Base = None,
    batch_size: flags.BatchSize = None,
) -> None:
    """Measure a model on benchmarks.

    Prints each number with its interval and its ideal value.
    """
    from equipoise import api, plugins
    from equipoise.benchmarks.base import Benchmark
    from equipoise.checks.run import check_measurement
    from equipoise.files.atomic import check_new
    from equipoise.predictions import Predictions
    from equipoise.report.tables import measurement_text
    from equipoise.study.results import results_document, to_json, write_results

    flags.name_data(data)
    options = flags.parse_settings(settings, benchmarks)
    if out is not None:
        check_new(out, what="results")
    # Before loading, so that a wrong option is refused at once.
    built = [plugins.build(Benchmark, benchmark, options[benchmark]) for benchmark in benchmarks]
    subject: Predictions | LanguageModel = (
        Predictions.parse(model)
        if model.startswith("predictions:")
        else flags.load_model(model, dtype, device, revision, base, batch_size)
    )
    measurements = []
    for benchmark_ in built:
        measurements.append(
            api.measure(subject, benchmark_, split=split, limit=limit, seed=seed, draws=draws)
        )
        if not as_json:  # at once, so that nothing is lost when a later benchmark fails
            print(measurement_text(measurements[-1], groups=groups), end="\n\n", flush=True)
        flags.say_faults(check_measurement(measurements[-1]))
    if out is not None:
        flags.say(f"results are in {write_results(out, measurements)}")
    if as_json:
        print(to_json(results_document(measurements)), end="")
