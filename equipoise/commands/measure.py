"""`equipoise measure`: measure a model on benchmarks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from equipoise.commands import flags
from equipoise.commands.measured import finish, print_measurement
from equipoise.errors import RecipeError, nearest
from equipoise.processes.launch import refuse_several_processes
from equipoise.progress.messages import when_stopped

if TYPE_CHECKING:
    from equipoise.benchmarks.base import AnyBenchmark
    from equipoise.inference.scorer import Scorer
    from equipoise.predictions import Predictions
    from equipoise.records import Measurement
    from equipoise.remote.remote_model import RemoteModel
    from equipoise.study.kept_measurements import Settings

_NOT_EXCHANGED = "exchange: items of {} name no target and are measured as they are"


def measure(  # noqa: PLR0913
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Hub id, folder (model, adapter, edit), planted:NAME, predictions:FILE[#COLUMN], "
            "decision:NAME, decision:http://HOST:PORT#NAME or openai:http://HOST:PORT/v1#NAME",
        ),
    ],
    benchmarks: flags.BenchmarkNames,
    settings: flags.Set = None,
    groups: flags.Groups = False,
    every: flags.Every = False,
    as_json: flags.AsJson = False,
    data: flags.Data = None,
    out: flags.Results = None,
    html: flags.Page = None,
    full: flags.Full = False,
    limit: flags.Limit = None,
    exchange: flags.Exchange = None,
    seed: flags.Seed = 0,
    draws: flags.Draws = 2000,
    split: Annotated[str | None, typer.Option(help="Else each benchmark's first.")] = None,
    dtype: flags.Dtype = "auto",
    quantize: flags.Quantize = "auto",
    device: flags.Device = "auto",
    revision: flags.Revision = None,
    base: flags.Base = None,
    batch_size: flags.BatchSize = None,
    start: flags.Start = "auto",
    chat: flags.Chat = False,
    plain: flags.Plain = False,
    system: flags.System = None,
    turn: flags.Turn = None,
    request: flags.TurnRequest = None,
    without_faults: flags.WithoutFaults = None,
    nulls: flags.Nulls = True,
    called: flags.Called = None,
    allow_code: flags.AllowCode = False,
    dry: flags.DryServer = False,
    trust_remote_code: flags.TrustRemoteCode = False,
) -> None:
    """Measure a model on benchmarks.

    Prints the headline numbers, each with its interval, its ideal value and what rules without bias
    get, and ends with at most five sentences: what is shown and what is not. With --out
    finished benchmarks are kept: after an interruption the same command goes on with the others.
    """
    from equipoise.checks.run import check_measurement
    from equipoise.files.atomic import check_new
    from equipoise.study.kept_measurements import KeptMeasurements, Settings

    _check_start(start, model, chat=chat, plain=plain)
    form = _chat_options(chat=chat, system=system, turn=turn, request=request)
    flags.name_data(data)
    flags.check_files(html=html)
    options, of_server = _parse_options(settings, benchmarks, model, without_faults, dry=dry)
    options, as_they_are = _with_exchange(_allow_code(options, allow_code), exchange)
    if out is not None:
        check_new(out, what="results")
    # Before loading, so that a wrong option is refused at once.
    built = _build(benchmarks, options)
    _check_files(model, built, split)
    kept = KeptMeasurements(out)
    when_stopped(lambda: kept.describe(len(built) * (1 + (chat and plain))))
    asked = Settings(split=split, limit=limit, seed=seed, draws=draws, nulls=nulls)
    subjects = _find_elsewhere(
        model, of_server, form, chat=chat, plain=plain, start=start, called=called
    )
    opening = {
        "dtype": dtype, "quantize": quantize, "device": device, "revision": revision, "base": base,
        "batch_size": batch_size, "trust_remote_code": trust_remote_code,
    }  # fmt: skip
    if subjects:
        _refuse_flags(model, opening)
    if dry:
        _print_costs(subjects, built, asked)
    subjects = subjects or _open(model, opening, form, plain or not chat, chat, start, called)
    measurements = []
    for each, subject in product(built, subjects):
        measurements.append(_note_exchange(kept.measure(subject, each, asked), as_they_are))
        if not as_json:  # at once, so that nothing is lost when a later benchmark fails
            print_measurement(measurements[-1], groups=groups, every=every)
        flags.say_faults(check_measurement(measurements[-1]))
    finish(measurements, out=out, html=html, full=full, as_json=as_json, groups=groups, every=every)
    kept.remove()


def _allow_code(options: "dict[str, flags.Options]", allowed: bool) -> "dict[str, flags.Options]":
    """The options with leave to run programs in those of each benchmark that does."""
    running = flags.running_code(options) if allowed else ()
    return {
        name: {**given, "allow_code": True} if name in running else given
        for name, given in options.items()
    }


def _leave_out(
    kinds: str | None, options: "dict[str, flags.Options]"
) -> "dict[str, flags.Options]":
    """The options of each benchmark with those of the kinds of faults that it knows.

    Raises `RecipeError` for a kind that none of them knows, and beside the option itself.
    """
    from equipoise import plugins
    from equipoise.benchmarks.base import Benchmark, KnowsFaults
    from equipoise.data.known_faults import ALL, AUDIT, known_names

    if kinds is None:
        return options
    known = {
        name: {ALL, *known_names(name)}
        for name in options
        if issubclass(plugins.find(Benchmark, name), KnowsFaults)
    }
    every = set[str]().union(*known.values())
    wanted = [kind.strip() for kind in kinds.split(",")]
    for kind in wanted:
        if not known or not (kind in every or kind.startswith(AUDIT)):
            raise RecipeError(
                f"--without-faults must name known faults of {', '.join(options)}, got '{kind}'; "
                f"{nearest(kind, every)}"
            )
    chosen = dict(options)
    for name, names in known.items():
        if "without_faults" in options[name]:
            raise RecipeError(
                f"faults are left out by --without-faults or by --set {name}.without_faults, got "
                f"both ('{kinds}'); drop one"
            )
        ours = [kind for kind in wanted if kind in names or kind.startswith(AUDIT)]
        chosen[name] = {**options[name], "without_faults": [*ours]}
    return chosen


def _with_exchange(
    options: dict[str, flags.Options], count: int | None
) -> tuple[dict[str, flags.Options], list[str]]:
    """The options with `--exchange` in those of each benchmark that has it, and the others' names.

    Raises `RecipeError` where none has it, and beside the option itself.
    """
    from equipoise import plugins
    from equipoise.benchmarks.base import AsksAboutOthers, Benchmark

    if count is None:
        return options, []
    able = [
        name
        for name in plugins.available(Benchmark)
        if issubclass(plugins.find(Benchmark, name), AsksAboutOthers)
    ]
    if not set(options) & set(able):
        raise RecipeError(
            f"--exchange needs a benchmark whose items name their target ({', '.join(able)}), got "
            f"{', '.join(options)}; leave it out, or measure another"
        )
    for name in set(options) & set(able):
        if options[name].setdefault("exchange", count) != count:
            raise RecipeError(
                f"exchange must be given once, got --exchange {count} and --set {name}.exchange="
                f"{options[name]['exchange']}; drop one"
            )
    others = [name for name in options if name not in able]
    if others:
        flags.say(_NOT_EXCHANGED.format(", ".join(others)))
    return options, others


def _note_exchange(measurement: "Measurement", as_they_are: Sequence[str]) -> "Measurement":
    """The measurement with a note where others were asked for in its targets' place in vain."""
    if measurement.benchmark not in as_they_are:
        return measurement
    note = _NOT_EXCHANGED.format(measurement.benchmark)
    return replace(measurement, notes=(*measurement.notes, note))


def _build(benchmarks: Sequence[str], options: Mapping[str, flags.Options]) -> "list[AnyBenchmark]":
    from equipoise import plugins
    from equipoise.benchmarks.base import Benchmark

    return [plugins.build(Benchmark, benchmark, options[benchmark]) for benchmark in benchmarks]


def _check_files(model: str, benchmarks: "Sequence[AnyBenchmark]", split: str | None) -> None:
    """Read the files of the user's own, so that what is wrong with them is refused at once.

    Not for an edit, which may be of a planted model: its base says where data are read.
    """
    from equipoise.api import folder_for
    from equipoise.benchmarks.base import ReadsOwnFile
    from equipoise.data.sources import reading_from
    from equipoise.edits.adapter import CONFIG_FILE
    from equipoise.edits.base import HEAD
    from equipoise.measure import choose_split

    if any((Path(model) / name).is_file() for name in (HEAD, CONFIG_FILE)):
        return
    with reading_from(folder_for(model)):
        for benchmark in benchmarks:
            if isinstance(benchmark, ReadsOwnFile):
                benchmark.files(choose_split(benchmark, split))


def _parse_options(
    settings: list[str] | None,
    benchmarks: Sequence[str],
    model: str,
    without_faults: str | None,
    *,
    dry: bool,
) -> "tuple[dict[str, flags.Options], flags.Options | None]":
    """The options of each benchmark, and those of the server; None: the model is behind none.

    Raises `RecipeError` for `--dry` of another model, and as `_leave_out` does.
    """
    from equipoise.remote.options import SCHEME, is_remote

    if not is_remote(model):
        if dry:
            raise RecipeError(f"--dry is of a model behind openai:, got {model}; leave it out")
        return _leave_out(without_faults, flags.parse_settings(settings, benchmarks)), None
    options = flags.parse_settings(settings, [*benchmarks, SCHEME])
    of_server = options.pop(SCHEME)
    return _leave_out(without_faults, options), of_server


def _connect(
    model: str,
    options: "flags.Options",
    form: dict[str, Any],
    *,
    chat: bool,
    start: str,
    plain: bool,
    called: str | None,
) -> "RemoteModel":
    """The model behind a server. Raises `RecipeError` for flags that it does not know."""
    from equipoise.loading.connect import connect

    if plain or form.keys() - {"system"}:
        raise RecipeError(
            f"{model} is asked as plain text or in a chat of its own; leave --plain, --turn and "
            "--request out"
        )
    flags.hush()
    given = form | ({"chat": True} if chat else {}) | ({} if start == "auto" else {"start": start})
    return replace(connect(model, **{**options, **given}), called=called)


def _print_costs(
    subjects: "Sequence[Predictions | Scorer]",
    benchmarks: "Sequence[AnyBenchmark]",
    asked: "Settings",
) -> None:
    """End the command with what each benchmark would take of a server, which is not asked."""
    from equipoise import plugins
    from equipoise.measure import choose_examples
    from equipoise.remote.remote_model import RemoteModel

    for server, benchmark in product(subjects, benchmarks):
        if isinstance(server, RemoteModel):
            _, requests = choose_examples(
                benchmark, split=asked.split, limit=asked.limit, seed=asked.seed
            )
            cost = server.reading_as(benchmark.turn).cost([r for asks in requests for r in asks])
            typer.echo(cost.describe(plugins.name_of(benchmark), server.server.options))
    raise typer.Exit


def _find_elsewhere(
    model: str,
    of_server: "flags.Options | None",
    form: dict[str, Any],
    *,
    chat: bool,
    plain: bool,
    start: str,
    called: str | None,
) -> "list[Predictions | Scorer]":
    """Published predictions or a server of that name; []: it is a model to be opened here.

    Raises `RecipeError` for a form of text or a name, of which predictions and a decision server
    know nothing.
    """
    from equipoise.inference.decision_server import DecisionServer, is_server
    from equipoise.predictions import Predictions

    if of_server is not None:
        refuse_several_processes(f"a measurement of {model}, which is not in memory,")
        return [
            _connect(model, of_server, form, chat=chat, plain=plain, start=start, called=called)
        ]
    predicted = model.startswith("predictions:")
    if not (predicted or is_server(model)):
        return []
    refuse_several_processes(f"a measurement of {model}, which is not in memory,")
    if chat or start != "auto" or called:
        raise RecipeError(f"{model} must be asked as it is; leave --chat, --start and --as out")
    return [Predictions.parse(model) if predicted else DecisionServer.parse(model)]


def _open(
    model: str,
    opening: Mapping[str, Any],
    form: Mapping[str, Any],
    plain: bool,
    chat: bool,
    start: str,
    called: str | None,
) -> "list[Predictions | Scorer]":
    """A model that is opened here, as plain text, in its chat template, or both."""
    opened = flags.load_model(model, **opening, start=start, called=called)
    return [*([opened] if plain else []), *([opened.in_chat(**form)] if chat else [])]


def _refuse_flags(model: str, opening: Mapping[str, Any]) -> None:
    """Raise `RecipeError` for a flag that says how a model is opened, of one that is not."""
    from equipoise.study.server_content import refuse_opening

    refuse_opening(model, {f"--{name.replace('_', '-')}": opening[name] for name in opening})


def _check_start(start: str, model: str, *, chat: bool, plain: bool) -> None:
    """Raise `RecipeError` for a start token where every text begins as a template has it."""
    from equipoise.loading.load import undecided

    if start == "auto":
        return
    if chat and not plain:
        raise RecipeError(
            f"--start is of plain text, got {start!r} with --chat, whose template writes what "
            "stands first; leave it out, or add --plain"
        )
    if undecided(model) != model:
        raise RecipeError(
            f"--start is of plain text, got {start!r} for {model}, whose template writes what "
            "stands first; leave it out"
        )


def _chat_options(*, chat: bool, **given: str | None) -> dict[str, Any]:
    """The arguments of `LanguageModel.in_chat` that were given. Raises `RecipeError`."""
    options = {name: value for name, value in given.items() if value is not None}
    if options and not chat:
        name, value = next(iter(options.items()))
        raise RecipeError(f"--{name} is of a chat, got {value!r} without --chat; add --chat")
    return options
