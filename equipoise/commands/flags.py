"""What the verbs of the command line share: their flags, and how a model is opened for them."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from equipoise.commands.options import Settings
from equipoise.errors import RecipeError
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
    Path | None, typer.Option(help="Folder of official benchmark files; else $EQUIPOISE_DATA.")
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
SupplyName = Annotated[str, typer.Option(help="Benchmark whose training split is learnt from.")]
SupplySource = Annotated[
    str | None,
    typer.Option(
        help="Benchmark whose training split is learnt from; else the method's usual one."
    ),
]


def say(text: str) -> None:
    """One line on standard error, which is not part of what a command answers."""
    print(text, file=sys.stderr)


def say_faults(findings: Iterable["Finding"]) -> None:
    """Print errors and warnings of the automatic checks."""
    for finding in findings:
        if finding.level != "ok":
            say(f"{finding.level} ({finding.check}, {finding.where}): {finding.text}")


def options_from(given: list[str] | None, names: Sequence[str], data: Path | None) -> Settings:
    """The `--set` options, and `--data` as the folder of benchmark files.

    `names` are the plug-ins of this command. Raises `RecipeError` for an option of another plug-in,
    and for a data folder that is none.
    """
    settings = Settings.parse(given or (), names)
    if data is not None:
        if not data.is_dir():
            raise RecipeError(f"--data must be a folder, got '{data}'; check the path")
        os.environ["EQUIPOISE_DATA"] = str(data)
    return settings


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


def of_world(name: str, options: Settings, identity: str) -> Any:
    """The benchmark of a name; of the world of a planted model, and then that is said."""
    from equipoise import api
    from equipoise.plugins import options_of

    given = options.of(name)
    built = api.build_benchmark(name, given, identity=identity)
    world = options_of(built).get("world")
    if identity.startswith(api.PLANTED) and world is not None and world != given.get("world"):
        say(f"{name}: asked about the model's own world, --set {name}.world={world}")
    return built
