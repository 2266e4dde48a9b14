"""`equipoise merge`: an edited model as an ordinary model folder."""

import json
from pathlib import Path
from typing import Annotated

import typer

from equipoise.commands import flags


def merge(
    edit: Annotated[
        str, typer.Argument(metavar="EDIT", help="Folder of an edit or adapter, or a Hub id.")
    ],
    out: Annotated[Path, typer.Option(help="New folder to write the model to.")],
    as_json: flags.AsJson = False,
    dtype: Annotated[
        str,
        typer.Option(help="float32 measures the same; bfloat16 and float16 round, at half of it."),
    ] = "float32",
    revision: flags.Revision = None,
    base: flags.Base = None,
    trust_remote_code: flags.TrustRemoteCode = False,
) -> None:
    """Merge an edit into its base: a model folder that any program loads.

    Weights, configuration, tokenizer, a card, and a record of base and edit. It measures as the
    edit does. An edit that is no weights (a decoding rule, prompts) cannot be merged.
    """
    from equipoise.files.atomic import check_new
    from equipoise.loading.load import find_edit
    from equipoise.loading.merge import merge as merge_into

    check_new(out, what="a merged model")
    find_edit(edit, revision=revision)
    # in float32 whatever is written: the sum of a small change and a weight is rounded once
    model = flags.load_model(
        edit, "float32", "cpu", revision, base, None, "auto", trust_remote_code
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
