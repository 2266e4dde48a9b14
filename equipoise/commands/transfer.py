"""`equipoise transfer`: put an adapter on a sibling of its base, or a control, at some scales."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.commands.flags import AsJson, Device, Dtype, Revision, Seed, load_model
from equipoise.errors import RecipeError, nearest

if TYPE_CHECKING:
    from equipoise.edits.edit import EditInfo


def transfer(  # noqa: PLR0913
    edit: Annotated[
        str, typer.Argument(metavar="EDIT", help="Folder or Hub id of an adapter, ours or PEFT's.")
    ],
    to: Annotated[str, typer.Option(metavar="MODEL", help="Sibling of the adapter's base.")],
    out: Annotated[Path, typer.Option(help="New folder to keep the edit in.")],
    control: Annotated[
        str, typer.Option(help="none; random (of the same norms); shuffled (layers permuted).")
    ] = "none",
    scale: Annotated[
        str, typer.Option(help="Of the update: 0.5, or 0,0.5,1 for a sub-folder each.")
    ] = "1",
    more_tokens: Annotated[
        bool, typer.Option("--more-tokens", help="MODEL may have tokens that the base has not.")
    ] = False,
    as_json: AsJson = False,
    seed: Seed = 0,
    dtype: Dtype = "auto",
    device: Device = "auto",
    revision: Revision = None,
    base: Annotated[
        str | None,
        typer.Option(help="Model with the adapter's vocabulary; else what the edit says."),
    ] = None,
) -> None:
    """Attach a base model's adapter to a sibling of that model; nothing is trained.

    Modules, shapes and vocabulary are checked first. The edit is measured like a model.
    """
    from equipoise import api
    from equipoise.edits.transfer_controls import CONTROLS, scaled
    from equipoise.study.results import check_new

    scales = _scales(scale)
    if control not in CONTROLS:
        raise RecipeError(f"--control '{control}' is not known; {nearest(control, CONTROLS)}")
    check_new(out)
    model = load_model(to, dtype, device, revision, None, None)
    whole = api.transfer(
        edit,
        model,
        base=base,
        control=CONTROLS[control],
        seed=seed,
        more_tokens=more_tokens,
    )
    made = [whole if scale == 1.0 else scaled(whole, scale) for scale in scales]
    places = [out] if len(scales) == 1 else [out / f"scale-{scale:g}" for scale in scales]
    if len(scales) > 1:
        out.mkdir(parents=True, exist_ok=True)
    for place, one in zip(places, made, strict=True):
        one.save(place)
    _print([one.info for one in made], places, as_json=as_json)


def _scales(text: str) -> tuple[float, ...]:
    """The numbers of "0,0.5,1", in that order. Raises `RecipeError` for what is none."""
    try:
        found = tuple(float(one) for one in text.split(","))
    except ValueError:
        found = (math.nan,)
    if len(set(found)) < len(found) or not all(math.isfinite(one) and one >= 0.0 for one in found):
        raise RecipeError(
            f"--scale must be numbers from 0, all different, with commas, got '{text}'; "
            "write 1 or 0,0.25,0.5,0.75,1,1.25,1.5"
        )
    return found


def _print(infos: Sequence["EditInfo"], places: Sequence[Path], *, as_json: bool) -> None:
    if as_json:
        shown = [
            {**dataclasses.asdict(info), "trained_on": len(info.trained_on), "folder": str(place)}
            for info, place in zip(infos, places, strict=True)
        ]
        print(json.dumps({"edits": shown}))
        return
    for info, place in zip(infos, places, strict=True):
        control = info.options["control"]
        what = "" if control == "none" else f" ({control} control)"
        told = f"{info.report['from_method']} of {info.report['from_base'] or 'an unnamed base'}"
        print(f"{told}{what} at scale {info.options['scale']} is on {info.base} in {place}")
    notes = infos[0].report["notes"]
    for note in notes if isinstance(notes, list) else ():
        print(f"note: {note}")
    print(f"measure it like a model: equipoise measure {places[-1]} BENCHMARK...")
