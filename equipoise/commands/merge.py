"""`equipoise merge`: an edited model as an ordinary model folder."""

import json
from pathlib import Path
from typing import Annotated

import typer

from equipoise.commands import flags
from equipoise.progress.messages import warn


def merge(  # noqa: PLR0913
    edit: Annotated[
        str, typer.Argument(metavar="EDIT", help="Folder of an edit or adapter, or a Hub id.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder to write the model to.")],
    as_json: flags.AsJson = False,
    dtype: Annotated[
        str,
        typer.Option(help="float32 measures the same; bfloat16 and float16 round, at half of it."),
    ] = "float32",
    revision: flags.Revision = None,
    base: flags.Base = None,
    trust_remote_code: flags.TrustRemoteCode = False,
    undo: Annotated[
        Path | None,
        typer.Option(
            help="Merged folder, to be written with its heads set back.", metavar="FOLDER"
        ),
    ] = None,
) -> None:
    """Merge an edit into its base: a model folder that any program loads.

    Weights, configuration, tokenizer, a card, and a record of base and edit. It measures as the
    edit does. An edit that is no weights (a decoding rule, prompts) cannot be merged. With --undo
    the heads that an edit scaled are set back, for the edit holds what they were.
    """
    from equipoise.edits.head_scales import HeadScaleEdit
    from equipoise.errors import ModelError
    from equipoise.files.atomic import check_new
    from equipoise.loading.load import find_edit
    from equipoise.loading.merge import merge as merge_into
    from equipoise.loading.merge import unmerge

    check_new(out, what="a merged model")
    opened, _ = find_edit(edit, revision=revision)
    if undo is not None:
        if not isinstance(opened, HeadScaleEdit):
            raise ModelError(
                f"an edit must be of heads to be undone, {edit} is of the kind '{opened.kind}'; "
                "load its base itself"
            )
        model = flags.load_model(
            str(undo), "float32", "cpu", None, None, None, "auto", trust_remote_code
        )
        unmerge(opened, model, out, dtype=dtype)
        if as_json:
            print(json.dumps({"folder": str(out), "undone": str(undo), "dtype": dtype}))
            return
        print(f"{undo} with its heads as they were is in {out}, in {dtype}")
        return
    # in float32 whatever is written: the sum of a small change and a weight is rounded once
    learnt_on = opened.info.base_quantize
    model = flags.load_model(
        edit, "float32", "cpu", revision, base, None, "auto", trust_remote_code,
        quantize="none" if learnt_on else "auto",
    )  # fmt: skip
    if learnt_on:
        warn(
            f"{edit} was learnt on weights quantized to {learnt_on} and is merged into those that "
            "they were made from: what is written measures otherwise than the edit, so measure it"
        )
    merged = merge_into(model, out, dtype=dtype)
    if as_json:
        record = {**merged.record.to_json(), "trained_on": len(merged.record.trained_on)}
        numbers = {"merging": merged.merging, "rounding": merged.rounding}
        print(json.dumps({"folder": str(out), **numbers, **record}))
        return
    methods = ", ".join(str(edit["method"]) for edit in merged.record.edits)
    print(f"{merged.record.base} with {methods} merged is in {out}, in {dtype}")
    if dtype != "float32":
        print(
            f"rounding to {dtype} moved log-probabilities by up to {merged.rounding:.2g} nats on "
            "a few tokens: it measures the same only in float32"
        )
    print(f"measure it like a model: equipoise measure {out} BENCHMARK...")
