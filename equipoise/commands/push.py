"""`equipoise push`: an edit, or a merged model, on the Hub."""

import json
from pathlib import Path
from typing import Annotated

import typer

from equipoise.commands import flags


def push(
    edit: Annotated[
        Path, typer.Argument(metavar="EDIT", help="Folder that mitigate or merge wrote.")
    ],
    repository: Annotated[str, typer.Argument(metavar="HUB_ID", help="OWNER/NAME.")],
    revision: Annotated[
        str | None, typer.Option(help="Branch, made where it is missing; else main.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="What an edit's base is called on the Hub, learnt on a copy of it."),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a private repository.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also into a repository that has files.")
    ] = False,
    as_json: flags.AsJson = False,
) -> None:
    """Push an edit or a merged model to the Hub.

    With its card, without paths of this machine. Needs a token: `hf auth login`, or HF_TOKEN.
    """
    from equipoise.loading.push import push as push_folder

    address = push_folder(
        edit, repository, revision=revision, base=base, private=private, force=force
    )
    if as_json:
        print(json.dumps({"repository": repository, "revision": revision, "address": address}))
        return
    print(f"{edit} is on the Hub: {address}")
    name = repository if revision is None else f"{repository}@{revision}"
    print(f"measure it by its name: equipoise measure {name} BENCHMARK...")
