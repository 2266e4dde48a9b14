"""What the verbs of the command line share: their flags, and how a model is opened for them."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.commands.options import Settings
from equipoise.records import MOST_DRAWS, MOST_SEED

if TYPE_CHECKING:
    from equipoise.conclusions import Finding
    from equipoise.inference.language_model import LanguageModel

ModelName = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Hub id, folder (model, adapter, edit) or planted:NAME"),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="name.option=value, for any plug-in; may be repeated"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, nothing else.")]
Data = Annotated[
    str | None,
    typer.Option(
        help="Folder of data files, or planted:NAME for a world's items; else $EQUIPOISE_DATA."
    ),
]
Groups = Annotated[bool, typer.Option("--groups", help="Print the rows of every group, too.")]
Seed = Annotated[
    int, typer.Option(help="Of choices, training and resampling.", min=0, max=MOST_SEED)
]
Draws = Annotated[
    int, typer.Option(help="Bootstrap resamples; 0: no intervals.", min=0, max=MOST_DRAWS)
]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Revision = Annotated[str | None, typer.Option(help="Of a model on the Hub; id@revision, too.")]
Base = Annotated[str | None, typer.Option(help="Model that an edit or adapter is put on.")]
BatchSize = Annotated[
    int | None,
    typer.Option(help="Tokens in a batch at most; changes memory, not results.", min=1),
]
SupplyName = Annotated[str, typer.Option(help="What is learnt from; see list.")]
SupplySource = Annotated[
    str | None,
    typer.Option(help="What is learnt from, see list; else the method's usual supply."),
]


def say(text: str) -> None:
    """One line on standard error, which is not part of what a command answers."""
    print(text, file=sys.stderr)


def say_faults(findings: Iterable["Finding"]) -> None:
    """Print errors and warnings of the automatic checks."""
    for finding in findings:
        if finding.level != "ok":
            say(f"{finding.level} ({finding.check}, {finding.where}): {finding.text}")


def name_data(data: str | None) -> None:
    """Make `--data` the data folder of this command. `RecipeError` for one that does not exist."""
    from equipoise.data.sources import name_folder
    from equipoise.planted.folder import find_folder

    if data is not None:
        name_folder(find_folder(data))


def options_from(given: list[str] | None, names: Sequence[str]) -> Settings:
    """The `--set` options of the plug-ins that a command names.

    Raises `RecipeError` for an option of another plug-in.
    """
    return Settings.parse(given or (), names)


def hush() -> None:
    """No bars of loading weights where nobody watches; our own know by themselves."""
    from transformers.utils import logging

    if not sys.stderr.isatty():
        logging.disable_progress_bar()


def load_model(
    name: str,
    dtype: str,
    device: str,
    revision: str | None,
    base: str | None,
    batch_size: int | None,
) -> "LanguageModel":
    """Open a model, whatever it is; no bars where nobody watches."""
    from equipoise.loading.load import load

    hush()
    return load(
        name, revision=revision, dtype=dtype, device=device, base=base, batch_tokens=batch_size
    )
