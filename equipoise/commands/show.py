"""`equipoise show`: single examples of a result, to be looked at."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.commands import flags
from equipoise.conclusions import model_title, title_of
from equipoise.errors import RecipeError, nearest

if TYPE_CHECKING:
    from equipoise.records import Measurement
    from equipoise.study.shown_examples import ShownExamples


def show(  # noqa: PLR0913
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="Folder that measure --out, or run, wrote.")
    ],
    model: Annotated[str | None, typer.Option(help="Of a study, of this model alone.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Of these alone; else of all.")] = None,
    by: Annotated[
        str | None, typer.Option(help="Value of an example to order by, from the largest.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="KEY=NAME, of this group alone; may be repeated.")
    ] = None,
    changed: Annotated[
        Path | None,
        typer.Option(help="Result of another model: those that moved most from it come first."),
    ] = None,
    least: Annotated[bool, typer.Option("--least", help="The other end of the order.")] = False,
    count: Annotated[int, typer.Option(help="Examples of each benchmark.", min=1)] = 10,
    texts: Annotated[
        bool, typer.Option("--texts", help="Print what was asked and written, which may offend.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Page to write, with texts folded.")] = None,
    as_json: flags.AsJson = False,
    data: flags.Data = None,
) -> None:
    """Show the examples of a result that say most: what was asked, what was answered.

    Without --by they are ordered by "margin" where a benchmark has it, else by how far its first
    metric, of the example alone, is from its ideal. What was asked is read again from the
    benchmark's files, for --texts and --html.
    """
    from equipoise.report.example_text import examples_text
    from equipoise.study.shown_examples import show_examples

    flags.name_data(data)
    groups = dict(_parse_group(text) for text in group or ())
    others = () if changed is None else _read(changed, None, benchmark)
    shown: list[ShownExamples] = []
    for measurement in _grouped(_read(result, model, benchmark), groups):
        before = None if changed is None else _same(measurement, others, changed)
        shown.append(
            show_examples(
                measurement,
                count=count,
                by=by,
                groups=groups,
                least=least,
                before=before,
                texts=texts or html is not None,
            )
        )
    if html is not None:
        from equipoise.report.example_page import write_examples_page

        flags.say(f"the page is {write_examples_page(html, shown)}")
    if as_json:
        print(_document(shown, texts=texts), end="")
    elif html is None:
        print("\n\n".join(examples_text(each, texts=texts) for each in shown))
        if not texts:
            flags.say("--texts prints what was asked and written, which may offend")


def _read(folder: Path, model: str | None, benchmark: str | None) -> "Sequence[Measurement]":
    """The measurements of a result or a study, of the model and benchmark that are named."""
    from equipoise.study.results import FILE, read_results

    if (folder / FILE).is_file() or not folder.is_dir():
        measurements = read_results(folder)
    else:
        from equipoise.study.stored_steps import read_measured

        measurements = tuple(each.measurement for each in read_measured(folder))
    models = [model_title(each) for each in measurements]
    benchmarks = [title_of(each) for each in measurements]
    for flag, name, known in (("--model", model, models), ("--benchmark", benchmark, benchmarks)):
        if name is not None and name not in known:
            raise RecipeError(
                f"{flag} must be of what {folder} holds, got '{name}'; {nearest(name, known)}"
            )
    return [
        each
        for each, of, about in zip(measurements, models, benchmarks, strict=True)
        if model in (None, of) and benchmark in (None, about)
    ]


def _grouped(
    measurements: "Sequence[Measurement]", groups: Mapping[str, str]
) -> "Sequence[Measurement]":
    """Those with such an example, told which have none; all of them where none has."""
    chosen: list[Measurement] = []
    without: list[str] = []
    for each in measurements:
        if any(groups.items() <= row.groups.items() for row in each.outcomes):
            chosen.append(each)
        else:
            without.append(title_of(each))
    if chosen and without:
        named = " and ".join(f"{key}={name}" for key, name in groups.items())
        flags.say(f"not shown, without an example of {named}: {', '.join(dict.fromkeys(without))}")
    return chosen or measurements


def _same(
    measurement: "Measurement", others: "Sequence[Measurement]", folder: Path
) -> "Measurement":
    """The measurement of the same benchmark and examples."""
    for other in others:
        if (title_of(other), other.examples_sha256) == (
            title_of(measurement), measurement.examples_sha256,
        ):  # fmt: skip
            return other
    raise RecipeError(
        f"--changed must be a result of the same examples of {measurement.benchmark} "
        f"(requests {measurement.examples_sha256[:12]}), got none in {folder}; measure both models "
        "alike, or name a --benchmark that both have"
    )


def _parse_group(text: str) -> tuple[str, str]:
    key, sign, name = text.partition("=")
    if not (key and sign and name):
        raise RecipeError(f"--group must be KEY=NAME, got '{text}'; write e.g. axis=race")
    return key, name


def _document(shown: "Sequence[ShownExamples]", *, texts: bool) -> str:
    from equipoise.study.results import to_json

    return to_json(
        {
            "examples": [
                {
                    "model": model_title(each.measurement),
                    "benchmark": title_of(each.measurement),
                    "order": each.order,
                    "of": each.of,
                    "without": each.without,
                    "examples": [
                        {
                            "example": row.example,
                            "groups": dict(row.groups),
                            "by": row.by,
                            "values": dict(row.values),
                            **({} if row.before is None else {"before": dict(row.before)}),
                            **(
                                {
                                    "texts": list(row.texts),
                                    "wrote": row.wrote,
                                    "wrote_before": row.wrote_before,
                                }
                                if texts
                                else {}
                            ),
                        }
                        for row in each.examples
                    ],
                }
                for each in shown
            ]
        }
    )
