"""`equipoise mitigate`: learn an edit."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise import plugins
from equipoise.commands import flags
from equipoise.errors import RecipeError
from equipoise.processes.launch import is_main_process
from equipoise.progress.messages import NOTHING_KEPT, when_stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from equipoise.edits.base import Edit
    from equipoise.edits.edit import EditInfo
    from equipoise.mitigate.base import Mitigation


def mitigate(  # noqa: PLR0913
    model: flags.ModelName,
    method: Annotated[
        str,
        typer.Argument(
            metavar="METHOD", help="See list.", autocompletion=flags.completing("mitigate")
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder to keep the edit in.")],
    supply: Annotated[
        str | None,
        typer.Option(
            help="What is learnt from, see list; else the method's usual supply.",
            autocompletion=flags.completing("supply"),
        ),
    ] = None,
    settings: flags.Set = None,
    as_json: flags.AsJson = False,
    data: flags.Data = None,
    seed: flags.Seed = 0,
    dtype: flags.Dtype = "auto",
    quantize: flags.Quantize = "auto",
    device: flags.Device = "auto",
    revision: flags.Revision = None,
    base: flags.Base = None,
    batch_size: flags.BatchSize = None,
    start: flags.Start = "auto",
    trust_remote_code: flags.TrustRemoteCode = False,
) -> None:
    """Learn an edit that removes bias.

    The edit's folder can be measured like a model. After an interruption the same command resumes.
    """
    from equipoise import api
    from equipoise.files.atomic import check_new
    from equipoise.mitigate.base import Mitigation
    from equipoise.supply.base import Supplier

    flags.name_data(data)
    method_class = plugins.find(Mitigation, method)
    check_verb(method_class, method, injects=False)
    # what it usually learns from may depend on its options: a combination learns as its parts do
    chosen = [text for text in settings or () if text.startswith(f"{method}.")]
    built = plugins.build(Mitigation, method, flags.parse_settings(chosen, [method])[method])
    source = supply or api.usual_supply(built, model)
    options = flags.parse_settings(settings, [method, source])
    check_new(out, what="an edit")
    when_stopped(lambda: describe_kept(checkpoints_of(out)))  # of an earlier try, too
    learnt = plugins.build(Supplier, source, options[source])
    opened = flags.load_model(
        model, dtype, device, revision, base, batch_size, start, trust_remote_code, quantize
    )
    edit = fit_and_save(lambda: api.mitigate(opened, built, supply=learnt, seed=seed), out)
    if edit is not None:
        print_edit(edit.info, out, as_json=as_json)


def check_verb(method: "type[Mitigation]", name: str, *, injects: bool) -> None:
    """Refuse a method that injects a bias where bias is to be removed, and the other way round."""
    if method.injects and not injects:
        raise RecipeError(
            f"equipoise mitigate needs a method that removes bias, {name} puts one in, to be "
            f"studied; use equipoise inject MODEL {name}"
        )
    if injects and not method.injects:
        raise RecipeError(
            f"equipoise inject needs a method that puts a bias in, {name} removes it; use "
            f"equipoise mitigate MODEL {name}"
        )


def checkpoints_of(out: Path) -> Path:
    """Where a killed training of the edit resumes from; the folder goes once the edit is saved."""
    return out.with_name(f".{out.name}.training")


def describe_kept(checkpoints: Path) -> str:
    """What is kept of work that is stopped now, and how to go on."""
    if checkpoints.is_dir() and any(checkpoints.rglob("*")):
        return f"what was done until shortly before is in {checkpoints}; the same command goes on"
    return NOTHING_KEPT


def fit_and_save(fit: "Callable[[], Edit]", out: Path) -> "Edit | None":
    """Learn an edit, resuming where a killed command stopped, and save it.

    None in all processes but the main process, which saves.
    """
    from equipoise.training.resume import checkpoints_in

    checkpoints = checkpoints_of(out)
    when_stopped(lambda: describe_kept(checkpoints))
    with checkpoints_in(checkpoints):
        edit = fit()
    if not is_main_process():  # under torchrun the main process saves
        return None
    # before the checkpoints go: a kill in between costs no training
    edit.save(out)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return edit


def print_edit(info: "EditInfo", out: Path, *, as_json: bool) -> None:
    """Say what was learnt and where it is."""
    # the hash of every text would bury the rest
    shown = {**dataclasses.asdict(info), "trained_on": len(info.trained_on), "folder": str(out)}
    if as_json:
        print(json.dumps(shown))
        return
    taught = f", taught by {info.origin}," if info.trained_on else ""
    print(f"{info.method} on {info.base}{taught} is in {out}")
    report = info.report
    if "stopped" in report:
        print(f"training ended after {report['steps']} steps: {report['stopped']}")
    if "undone" in report:
        print(f"undone: {report['undone']}")
    if isinstance(heads := report.get("heads"), list):
        print(f"{len(heads)} heads: {', '.join(map(str, heads)) or 'none'}")
    notes = report.get("notes")
    for note in notes if isinstance(notes, list) else []:
        print(f"note: {note}")
    print(f"measure it like a model: equipoise measure {out} BENCHMARK...")
