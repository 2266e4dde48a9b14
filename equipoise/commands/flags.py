"""What the verbs of the command line share: flags, --set, --margin, and how a model is opened."""

import inspect
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

import typer

from equipoise.conclusions import CALLED, margin_of
from equipoise.errors import RecipeError, nearest
from equipoise.plugins import names_in
from equipoise.progress.messages import duration, is_quiet, keep, report_to, warn
from equipoise.progress.messages import say as say
from equipoise.records import JSON, MOST_DRAWS, MOST_SEED, Margin

if TYPE_CHECKING:
    from equipoise.conclusions import Finding
    from equipoise.inference.language_model import LanguageModel

Options: TypeAlias = dict[str, JSON]


def completing(group: str) -> Callable[[str], list[str]]:
    """What a shell completes the name of a plug-in to; nothing is imported for it."""
    return lambda incomplete: [
        name for name in names_in(f"equipoise.{group}") if name.startswith(incomplete)
    ]


BenchmarkNames = Annotated[
    list[str],
    typer.Argument(
        metavar="BENCHMARK...", help="See list.", autocompletion=completing("benchmarks")
    ),
]
LocatorName = Annotated[
    str,
    typer.Argument(metavar="[LOCATOR]", help="See list.", autocompletion=completing("locate")),
]
Html = Annotated[Path | None, typer.Option(help="Page with a plot.")]
Results = Annotated[
    Path | None, typer.Option("--out", "-o", help="New folder to keep the results in.")
]
ModelName = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Hub id, folder (model, adapter, edit) or planted:NAME"),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="name.option=value, for any plug-in; may be repeated"),
]
Chat = Annotated[
    bool, typer.Option("--chat", help="Ask inside the turns of the model's chat template.")
]
Plain = Annotated[bool, typer.Option("--plain", help="Beside --chat: measure as plain text, too.")]
DryServer = Annotated[
    bool,
    typer.Option("--dry", help="Of a model behind openai: print what it would take, send nothing."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing on the way but warnings and errors.")
]
Log = Annotated[
    Path | None,
    typer.Option(help="File to add everything to that is said on the way, with the time."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON document, nothing else.")]
Data = Annotated[
    str | None,
    typer.Option(
        help="Folder of data files, or planted:NAME for a world's items; else $EQUIPOISE_DATA."
    ),
]
Groups = Annotated[bool, typer.Option("--groups", help="Print the rows of every group, too.")]
Every = Annotated[
    bool, typer.Option("--all", help="Print every number, and what rules without bias get.")
]
Page = Annotated[Path | None, typer.Option(help="File to write a page of the results to.")]
Full = Annotated[
    bool, typer.Option("--full", help="A page that is all unfolded and printed; else in short.")
]
Limit = Annotated[int | None, typer.Option(help="Examples at most: a seeded choice.", min=1)]
Exchange = Annotated[
    int | None,
    typer.Option(
        help="Ask again with so many others in each item's target's place.", min=1, max=16
    ),
]
Seed = Annotated[
    int, typer.Option(help="Of choices, training and resampling.", min=0, max=MOST_SEED)
]
Draws = Annotated[
    int, typer.Option(help="Bootstrap resamples; 0: no intervals.", min=0, max=MOST_DRAWS)
]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
Quantize = Annotated[
    str, typer.Option(help="auto, none, nf4 (4 bits) or int8: weights quantized when loaded.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps; split: over all GPUs.")]
Revision = Annotated[str | None, typer.Option(help="Of a model on the Hub; id@revision, too.")]
Base = Annotated[str | None, typer.Option(help="Model that an edit or adapter is put on.")]
Start = Annotated[
    str, typer.Option(help="What texts begin with: auto, bos, none or a token; see docs/models.md.")
]
BatchSize = Annotated[
    int | None,
    typer.Option(help="Tokens in a batch at most; changes memory, not results.", min=1),
]
WithoutFaults = Annotated[
    str | None,
    typer.Option(
        metavar="KIND,...",
        help="Leave out items with these known faults, or all: docs/data-faults.md.",
    ),
]
Nulls = Annotated[
    bool, typer.Option(help="Beside each number what rules without bias get: docs/validity.md.")
]
AllowCode = Annotated[
    bool,
    typer.Option("--allow-code", help="Run programs that the model writes: humaneval, mbpp."),
]
Called = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="What results call the model, beside its identity."),
]
System = Annotated[
    str | None, typer.Option(help="System prompt, with --chat; else the template's own.")
]
Turn = Annotated[
    str | None,
    typer.Option(help="With --chat: user or assistant, in whose turn running text stands."),
]
TurnRequest = Annotated[
    str | None, typer.Option(help="With --turn assistant: what the user asks before it.")
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option("--trust-remote-code", help="Run Python code that a model or its base brings."),
]


def telling(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb with --quiet and --log: how much it says on the way, and where."""

    @wraps(verb)
    def with_messages(*, quiet: bool, log: Path | None, **arguments: Any) -> None:
        report_to(quiet=quiet, log=log)
        name, began = verb.__name__.rstrip("_"), time.monotonic()
        keep(f"equipoise {name} begins")
        verb(**arguments)  # what ends it before its end, says so itself
        keep(f"equipoise {name} ends after {duration(time.monotonic() - began)}")

    signature = inspect.signature(verb, eval_str=True)
    added = {"quiet": (Quiet, False), "log": (Log, None)}
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
        for name, (hint, default) in added.items()
    ]
    new = signature.replace(parameters=[*signature.parameters.values(), *parameters])
    vars(with_messages)["__signature__"] = new
    with_messages.__annotations__ = {name: part.annotation for name, part in new.parameters.items()}
    return with_messages


def say_faults(findings: Iterable["Finding"]) -> None:
    """Print errors and warnings of the automatic checks."""
    for finding in findings:
        if finding.level != "ok":
            warn(f"{finding.level} ({finding.check}, {finding.where}): {finding.text}")


def name_data(data: str | None) -> None:
    """Make `--data` the data folder of this command. `RecipeError` for a missing folder."""
    if data is None:
        return  # and what reads worlds is not imported for nothing
    from equipoise.data.sources import name_folder
    from equipoise.planted.folder import find_folder

    name_folder(find_folder(data))


def check_files(**files: Path | None) -> None:
    """Raise `StoreError` for a file, by its flag, that could not be written when work is done."""
    from equipoise.files.atomic import check_file

    for flag, file in files.items():
        if file is not None:
            check_file(file, what=f"--{flag}")


def hush() -> None:
    """Switch off bars of loading weights unless a terminal shows them, as our own bars are."""
    from logging import ERROR, getLogger

    from transformers.utils import logging

    if not sys.stderr.isatty() or is_quiet():
        logging.disable_progress_bar()
    # it says at every product of 8 bits that it computes in float16
    getLogger("bitsandbytes.autograd._functions").setLevel(ERROR)


def load_model(  # noqa: PLR0913
    name: str,
    dtype: str,
    device: str,
    revision: str | None,
    base: str | None,
    batch_size: int | None,
    start: str = "auto",
    trust_remote_code: bool = False,
    quantize: str = "auto",
    called: str | None = None,
) -> "LanguageModel":
    """Open a model, whatever it is; `called`: what results call it."""
    from equipoise.loading.load import load

    hush()
    model = load(
        name,
        revision=revision,
        dtype=dtype,
        device=device,
        base=base,
        batch_tokens=batch_size,
        start=start,
        quantize=quantize,
        trust_remote_code=trust_remote_code,
    )
    return model if called is None else replace(model, source={**model.source, CALLED: called})


# --- options and margins as people write them ----------------------------------------------


def dashed(argument: str) -> str:
    """A command-line word with the underscores of its flag as dashes: --batch_size=8 too."""
    if not argument.startswith("--"):
        return argument
    flag, sign, value = argument.partition("=")
    return "--" + flag[2:].replace("_", "-") + sign + value


def parse_settings(texts: Iterable[str] | None, plugins: Iterable[str]) -> dict[str, Options]:
    """The `--set` options of each plug-in that a command names, such as "genbias.split_by=both".

    A value is JSON if it can be, else it is the text itself. An option of an option is dotted:
    "bias_unlearn.controller=equivalence" and "bias_unlearn.controller.band=5".
    Raises `RecipeError` for a text without name, option or sign, an option that is given twice,
    and an option of a plug-in that is not named.
    """
    by_plugin: dict[str, Options] = {name: {} for name in plugins}
    for text in texts or ():
        left, sign, value = text.partition("=")
        guess, dot, option = left.rpartition(".")
        if not (sign and dot and guess and option):
            raise RecipeError(f"an option is set as name.option=value, got '{text}'; write that")
        # the longest: a path may begin with another plug-in's name and a dot
        name = max((name for name in by_plugin if left.startswith(f"{name}.")), key=len, default="")
        if not name:
            raise RecipeError(
                f"--set {left} is for a plug-in that is not used here; {nearest(guess, by_plugin)}"
            )
        path = left.removeprefix(f"{name}.").split(".")
        _set_option(by_plugin[name], path, _parse_value(value), left)
    return by_plugin


def running_code(names: Iterable[str]) -> list[str]:
    """Which of these benchmarks run programs that a model writes, for `--allow-code`.

    Raises `RecipeError` where none does: what was allowed then has no meaning.
    """
    from equipoise import plugins
    from equipoise.benchmarks.base import Benchmark
    from equipoise.code_execution.program_options import RunsPrograms

    names = list(names)
    running = [name for name in names if issubclass(plugins.find(Benchmark, name), RunsPrograms)]
    if not running:
        raise RecipeError(
            "--allow-code is for benchmarks that run what a model writes (humaneval, mbpp), got "
            f"{', '.join(names)}; leave it out"
        )
    return running


def _set_option(options: Options, path: Sequence[str], value: JSON, left: str) -> None:
    """Put a value at a path; the name of a choice and its options may come in either order."""
    option, *rest = path
    earlier = options.get(option)
    if rest:
        inner: JSON = {"name": earlier} if isinstance(earlier, str) else options.get(option, {})
        if isinstance(inner, dict):
            options[option] = inner
            _set_option(inner, rest, value, left)
            return
    elif isinstance(earlier, dict) and "name" not in earlier and isinstance(value, str):
        earlier["name"] = value
        return
    if option in options:
        raise RecipeError(f"--set {left} must be given once, got it twice; drop one")
    options[option] = value


def margins_of(texts: Iterable[str]) -> dict[str, Margin]:
    """Margins given as benchmark.metric=3 or benchmark.metric=2%. Raises `RecipeError`."""
    margins = {}
    for text in texts:
        name, sign, value = text.partition("=")
        try:
            if not (sign and name.rpartition(".")[1]):
                raise ValueError(text)
            margins[name] = margin_of(value)
        except ValueError:
            raise RecipeError(
                f"a margin is set as benchmark.metric=3 or benchmark.metric=2%, got '{text}'; "
                "write that"
            ) from None
    return margins


def _parse_value(text: str) -> JSON:
    try:
        return cast(JSON, json.loads(text, object_pairs_hook=_refuse_repeats))
    except ValueError:
        return text
    except RecursionError:
        raise RecipeError(
            f"an option must have a plain value, got {text[:20]!r}… with brackets in brackets; "
            "write fewer"
        ) from None


def _refuse_repeats(pairs: list[tuple[str, JSON]]) -> JSON:
    """A JSON object; of a repeated name Python would silently keep the last."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"an option must have each name once, got '{name}' twice; drop one")
    return dict(pairs)
