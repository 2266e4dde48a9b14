"""`equipoise report`: the page of a study, complete or not."""

from pathlib import Path
from typing import Annotated

import typer

from equipoise.commands.flags import say


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that run wrote.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write; else report.html in the folder.")
    ] = None,
) -> None:
    """Write the report of a study: one HTML file that needs nothing else."""
    from equipoise.report.html import write_study_page
    from equipoise.study.load_study import read_study

    page = write_study_page(out or folder / "report.html", read_study(folder))
    say(f"the report is {page}")
