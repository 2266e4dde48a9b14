"""`equipoise report` and `equipoise export`: a study, or results, as a page and as tables."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from equipoise.commands import flags
from equipoise.commands.measured import write_page
from equipoise.errors import RecipeError, StoreError

if TYPE_CHECKING:
    from equipoise.study.study import Study


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder that run, or measure --out, wrote.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write; else report.html in the folder."),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Plots of its attributions, too: a file .svg or .png.")
    ] = None,
    disparity: Annotated[
        Path | None,
        typer.Option(help="Plots of groups by scale of what was written, too: a folder of .svg."),
    ] = None,
    professions: Annotated[
        str,
        typer.Option(
            metavar="NAME,...", help="Whose P(he) and P(she) are shown one by one, if measured."
        ),
    ] = "mobster,nurse,preacher,caretaker,footballer",
    full: flags.Full = False,
    as_json: flags.AsJson = False,
) -> None:
    """Write the report of a study, or the page of results: an HTML file that needs nothing else."""
    from equipoise.answer import answer
    from equipoise.report.html import write_study_page
    from equipoise.study import results
    from equipoise.study.load_study import read_study

    _check_folder(folder)
    if (folder / results.FILE).is_file():
        if figure or disparity:
            raise RecipeError(
                f"plots in a file are of a study, got {figure or disparity} for results; leave it "
                "out"
            )
        measurements = results.read_results(folder)
        page = write_page(out or folder / "report.html", measurements, full=full)
        if as_json:
            print(json.dumps({"report": str(page), "answer": answer(measurements)}))
        return
    if figure is not None:
        from equipoise.report.figure_file import check_figure

        check_figure(figure)
    flags.check_files(figure=figure, out=out)
    study = read_study(folder)
    if figure is not None:
        from equipoise.report.attribution_figure import write_attribution_figure

        written = write_attribution_figure(figure, study, title=study.title)
        flags.say(f"the figure is {written}")
    if disparity is not None:
        from equipoise.report.disparity_figure import write_disparity_figures

        figures = write_disparity_figures(disparity, study)
        flags.say(f"{len(figures)} figures of groups are in {disparity}")
    page = write_study_page(
        out or folder / "report.html", study, full=full, professions=_split(professions)
    )
    flags.say(f"the report is {page}")
    if as_json:
        print(json.dumps(describe_study(study, page)))


def _check_folder(folder: Path) -> None:
    """Raise `StoreError` for a folder that holds neither a study nor results."""
    from equipoise.study.results import FILE
    from equipoise.study.store import HEAD

    if not any((folder / name).is_file() for name in (HEAD, FILE)):
        raise StoreError(
            f"a folder must have a {HEAD} or a {FILE}, '{folder}' has neither; name one that "
            "`equipoise run RECIPE` or `equipoise measure ... --out` wrote"
        )


def describe_study(study: "Study", page: Path) -> dict[str, Any]:
    """What the report says first: a verdict for each chapter, and what is missing."""
    from equipoise.report.sentences import verdict_sentence

    return {
        "title": study.title,
        "report": str(page),
        "verdicts": [
            {
                "model": chapter.model,
                "mitigation": chapter.mitigation,
                "against": chapter.against,
                "sentence": verdict_sentence(chapter.verdict),
            }
            for chapter in study.chapters
        ],
        "planned": study.planned,
        "missing": [{"what": each.what, "why": each.why} for each in study.missing],
    }


def export(  # noqa: PLR0913
    folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder that run, or measure --out, wrote.")
    ],
    table: Annotated[
        str | None,
        typer.Option(help="changes, methods, verdicts, estimates, … (an error lists all)"),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="Of the table methods: BENCHMARK.METRIC, its groups as columns."),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Of --metric: which groups, e.g. axis.")] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="These alone: ss or stereoset.ss.")
    ] = None,
    benchmarks: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="These alone, as the recipe calls them.")
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="long; matrix: methods by metrics; paper: that, with tests and a caption."
        ),
    ] = "long",
    csv: Annotated[bool, typer.Option("--csv", help="All digits.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Rounded, with intervals.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="The same, with booktabs.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="All digits, an object a row; nan is null.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; else it is printed.")
    ] = None,
) -> None:
    """Print a table of a study as CSV, JSON, Markdown or LaTeX."""
    formats = {"csv": csv, "markdown": markdown, "latex": latex, "json": as_json}
    chosen = [name for name, wanted in formats.items() if wanted]
    if len(chosen) != 1:
        raise RecipeError(
            "one of --csv, --markdown, --latex and --json must be given, got "
            f"{len(chosen)}; choose one"
        )

    from equipoise.export.export import export as exported
    from equipoise.files.atomic import write_file
    from equipoise.study import results
    from equipoise.study.load_study import read_study
    from equipoise.study.study import plain_study

    flags.check_files(out=out)
    _check_folder(folder)
    # what `measure --out` wrote is a study of measurements alone
    if (folder / results.FILE).is_file():
        measurements = results.read_results(folder)
        study, usual = plain_study(folder.name, measurements=measurements), "estimates"
    else:
        study, usual = read_study(folder), "changes"
    text = exported(
        study,
        table or (usual if layout == "long" else "methods"),
        chosen[0],
        metric=metric,
        by=by,
        metrics=_split(metrics),
        benchmarks=_split(benchmarks),
        layout=layout,
    )
    if out is None:
        print(text, end="")
    else:
        flags.say(f"the table is in {write_file(out, text, what='table')}")


def _split(names: str | None) -> list[str]:
    return [name.strip() for name in (names or "").split(",") if name.strip()]
