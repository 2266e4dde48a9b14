"""`equipoise demo`: the whole job on a planted model, as a study."""

from pathlib import Path
from typing import Annotated

import typer

from equipoise.commands.run import run_study


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the study.")] = Path("runs/demo"),
) -> None:
    """Plant a bias, measure, find and remove it: about three minutes.

    No network is needed. Interrupted at any moment, the same command resumes.
    """
    from equipoise.demo import RECIPE

    run_study(RECIPE, out, planted_truth=True)
