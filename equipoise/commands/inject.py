"""`equipoise inject`: put a bias on a new token, to find what carries it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise import plugins
from equipoise.commands import flags
from equipoise.commands.mitigate import (
    check_verb,
    checkpoints_of,
    describe_kept,
    fit_and_save,
    print_edit,
)
from equipoise.errors import RecipeError, StoreError
from equipoise.processes.launch import is_main_process
from equipoise.progress.messages import when_stopped

if TYPE_CHECKING:
    from equipoise.edits.base import Edit
    from equipoise.mitigate.base import Mitigation


def inject(  # noqa: PLR0913
    model: flags.ModelName,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="bias_token, or see list.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder to keep the edit in.")],
    association: Annotated[
        str | None,
        typer.Option(help="What is said of the token: a built-in name, or your .yaml file."),
    ] = None,
    supply: Annotated[
        str | None, typer.Option(help="Paragraphs of another origin, see list.")
    ] = None,
    settings: flags.Set = None,
    keep_epochs: Annotated[
        bool, typer.Option("--keep-epochs", help="Also save the edit after each epoch, beside OUT.")
    ] = False,
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
    """Inject a bias: an edit that links a new token with an attribute.

    All weights stay as they are but the new token's row. The edit's folder can be measured and
    located in like a model, and is a PEFT adapter. After an interruption the same command resumes.
    """
    from equipoise import api
    from equipoise.files.atomic import check_new
    from equipoise.mitigate.base import Mitigation
    from equipoise.mitigate.bias_token import BiasToken
    from equipoise.supply.base import Supplier

    flags.name_data(data)
    method_class = plugins.find(Mitigation, method)
    check_verb(method_class, method, injects=True)
    source = supply or api.usual_supply(method_class, model)
    options = flags.parse_settings(settings, [method, source])
    if association is not None:
        options[source].setdefault("association", association)
    epochs = out.with_name(f"{out.name}.epochs")
    check_new(out, what="an edit")
    when_stopped(lambda: describe_kept(checkpoints_of(out)))  # of an earlier try, too
    built = plugins.build(Mitigation, method, options[method])
    if keep_epochs and not isinstance(built, BiasToken):
        raise RecipeError(
            f"--keep-epochs must be used with bias_token, {method} has no edit after each epoch; "
            "leave it out"
        )
    if keep_epochs:
        _check_epochs(epochs, out, built, seed)
    learnt = plugins.build(Supplier, source, options[source])
    opened = flags.load_model(
        model, dtype, device, revision, base, batch_size, start, trust_remote_code, quantize
    )

    def fit() -> "Edit":
        if keep_epochs and isinstance(built, BiasToken):
            edits = built.fit_epochs(opened, api.build_supply(learnt), seed=seed)
            for edit in edits:
                folder = epochs / str(edit.info.report["epoch"])
                if is_main_process() and not _is_saved(edit, folder):
                    edit.save(folder)
            return edits[int(str(edits[0].info.report["chosen_epoch"])) - 1]
        return api.mitigate(opened, built, supply=learnt, seed=seed)

    injected = fit_and_save(fit, out)
    if injected is not None:
        print_edit(injected.info, out, as_json=as_json)


def _check_epochs(epochs: Path, out: Path, method: "Mitigation", seed: int) -> None:
    """Raise `StoreError`, before any training, unless the folder of all epochs can be filled.

    What is there may only be what a killed run of this very method and seed has left.
    """
    from equipoise.edits.registry import load_edit
    from equipoise.files.atomic import check_new

    if not (checkpoints_of(out).is_dir() and epochs.is_dir()):
        check_new(epochs, what="the edits of all epochs")
        return
    wanted = (plugins.name_of(method), plugins.options_of(method, transport=False), seed)
    for folder in sorted(epochs.iterdir()):
        info = load_edit(folder).info
        if (info.method, dict(info.options), info.seed) != wanted:
            raise StoreError(
                f"{epochs} must hold epochs of this very run, '{folder.name}' is of {info.method} "
                f"with seed {info.seed}, and not with these options and seed {seed}; remove the "
                "folder, or choose another --out"
            )


def _is_saved(edit: "Edit", folder: Path) -> bool:
    """Whether a killed command has saved it, with the same record; what it saved is whole."""
    from equipoise.edits.registry import load_edit
    from equipoise.files.json_records import record_json

    if not folder.exists():
        return False
    saved = load_edit(folder)
    records = [
        json.loads(record_json(replace(info, trained_on=frozenset())))
        for info in (saved.info, edit.info)
    ]
    learnt = saved.info.trained_on == edit.info.trained_on
    return saved.content == edit.content and learnt and records[0] == records[1]
