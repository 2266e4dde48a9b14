"""`equipoise check`: whether a result shows what is required of it."""

from pathlib import Path
from typing import Annotated

import typer

from equipoise.commands import flags
from equipoise.errors import RecipeError


def check(
    result: Annotated[
        Path,
        typer.Argument(metavar="RESULT", help="Folder that measure --out wrote, or its JSON."),
    ],
    require: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SENTENCE",
            help="'stereoset.ss within 45..55', 'no group of stereoset.ss worse than 60', …: "
            "docs/gate.md; may be repeated.",
        ),
    ] = None,
    require_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML: require, and a list of sentences.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JUnit XML to write, for CI.")
    ] = None,
    as_json: flags.AsJson = False,
) -> None:
    """Check that a result shows what is required of it: exit status 1 where it does not.

    A requirement holds when the whole 95 % interval lies where the value must lie; what could not
    be measured shows nothing, and fails.
    """
    from equipoise.files.atomic import write_file
    from equipoise.gate.gate import judge_results
    from equipoise.gate.junit import junit_xml
    from equipoise.gate.requirement import collect_requirements
    from equipoise.study.results import read_results, to_json

    requirements = collect_requirements(require or (), require_file)
    if (result / "study.json").is_file():
        raise RecipeError(
            f"a result must be of a single model, got the study {result}; name the folder of one "
            f"of its measurements: {result / 'steps' / 'measure-…' / 'results'}"
        )
    rulings = judge_results(read_results(result, outcomes=False), requirements)
    if junit is not None:
        write_file(junit, junit_xml(rulings), what="JUnit file")
    failed = [ruling for ruling in rulings if not ruling.holds]
    if as_json:
        rows = [
            {
                "requirement": ruling.requirement,
                "holds": ruling.holds,
                "state": ruling.state,
                "model": ruling.model,
                "benchmark": ruling.benchmark,
                "metric": ruling.estimate.metric,
                "group": dict(ruling.estimate.group),
                "required": [ruling.low, ruling.high],
                **{name: getattr(ruling.estimate, name) for name in _NUMBERS},
                "sentence": ruling.sentence,
            }
            for ruling in rulings
        ]
        print(to_json({"schema": 1, "passed": not failed, "rulings": rows}), end="")
    else:
        for ruling in rulings:
            print(f"{'holds' if ruling.holds else 'FAILS'}: {ruling.sentence}")
    if failed:
        raise typer.Exit(code=1)


_NUMBERS = ("value", "low", "high", "n", "unit", "reason")
