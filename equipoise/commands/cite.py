"""`equipoise cite`: BibTeX of what a result rests on."""

import json
from pathlib import Path
from typing import Annotated

import typer

from equipoise.commands import flags
from equipoise.records import JSON


def cite(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="Folder that measure --out, or run, wrote.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; else it is printed.")
    ] = None,
    as_json: flags.AsJson = False,
) -> None:
    """Print BibTeX of the benchmarks, methods and data that a result rests on."""
    from equipoise.citing.cite import bibtex, used_in
    from equipoise.files.atomic import write_file
    from equipoise.files.json_records import read_object
    from equipoise.study.results import read_results

    recipe: dict[str, JSON] = {}
    folders = [result]
    if (result / "study.json").is_file():
        recipe = read_object(result / "study.json").get("recipe") or {}
        folders = sorted(result.glob("steps/measure-*/results"))
    measurements = [
        measurement for folder in folders for measurement in read_results(folder, outcomes=False)
    ]
    text = bibtex(
        used_in(measurements, recipe),
        (use for measurement in measurements for use in measurement.data),
        title=result.name,
        version=next((each.environment.get("equipoise") for each in measurements), None),
    )
    if out is not None:
        flags.say(f"the references are in {write_file(out, text, what='file of references')}")
    if as_json:
        print(json.dumps({"bibtex": text, "file": None if out is None else str(out)}))
    elif out is None:
        print(text, end="")
