"""The command line: the verbs of `commands`, and what becomes of errors.

Standard output has the tables, or with `--json` a JSON document and nothing else; everything
else goes to standard error. A mistake that a user can fix is a line and exit status 2.
Modules that need torch are imported where they are used, so that `--help` and `list` are quick.
"""

import os
import sys
from collections.abc import Sequence
from contextvars import copy_context
from importlib import metadata
from typing import Annotated, Final

import typer

from equipoise.commands.associations import associations
from equipoise.commands.attribute import attribute
from equipoise.commands.calibrate import calibrate
from equipoise.commands.check import check
from equipoise.commands.cite import cite
from equipoise.commands.compare import compare
from equipoise.commands.data import data
from equipoise.commands.describe import describe, list_
from equipoise.commands.export import export, report
from equipoise.commands.flags import dashed, telling
from equipoise.commands.inject import inject
from equipoise.commands.judge import judge
from equipoise.commands.launched import join_processes, launched, warn_once
from equipoise.commands.locate import locate
from equipoise.commands.measure import measure
from equipoise.commands.merge import merge
from equipoise.commands.mitigate import mitigate
from equipoise.commands.mix import mix
from equipoise.commands.neighbors import neighbors
from equipoise.commands.push import push
from equipoise.commands.rate import rate
from equipoise.commands.run import demo
from equipoise.commands.run import run as run_study
from equipoise.commands.scorer import scorer
from equipoise.commands.show import show
from equipoise.errors import EquipoiseError
from equipoise.plugin_files import slip_in_plugin
from equipoise.progress.messages import say_stopped

_STOPPED: Final = 130  # the exit status of a command that Ctrl-C ended

app = typer.Typer(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
verbs = (
    measure, locate, attribute, mitigate, inject, neighbors, merge, push, judge, scorer, rate,
    compare, check, show, calibrate, report, export, cite, demo, data, associations, mix, describe,
)  # fmt: skip
for verb in verbs:
    app.command()(telling(verb))
app.command(name="run")(telling(run_study))
app.command(name="list")(telling(list_))


@app.callback()
def about(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True)
    ] = False,
) -> None:
    """Measure the social bias of a language model, find it, remove it, prove what changed."""
    if version:
        print(f"equipoise {metadata.version('equipoise')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Run the command line on the process's arguments, and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line; gives the exit status.

    0; 1 where `check` finds that a requirement is not met; 2 for what a user can fix; 130 for
    Ctrl-C.

    `--batch_size` is read as `--batch-size`, as is every flag.
    """
    # in a context of its own: `--data` and `--log` hold for this command alone
    return copy_context().run(_run, [dashed(argument) for argument in arguments])


def _run(arguments: Sequence[str]) -> int:
    with launched():
        return _run_verb(arguments)


def _run_verb(arguments: Sequence[str]) -> int:
    try:
        join_processes(arguments)
        app(args=arguments, prog_name="equipoise")
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if status == _STOPPED:  # typer catches what Ctrl-C raises
            say_stopped()
        return status
    except EquipoiseError as error:
        warn_once(f"error: {' '.join(str(error).split())}")
        return 2
    except OSError as error:
        warn_once(
            f"error: files must be there to be read and written, got: {error}; check the place"
        )
        return 2
    except MemoryError as error:
        warn_once(f"error: this must fit into memory, got: {error}; ask for less at once")
        return 2
    except KeyboardInterrupt:
        say_stopped()
        return _STOPPED
    except Exception as error:
        slip = slip_in_plugin(error)
        if slip is None or os.environ.get("EQUIPOISE_TRACEBACK"):
            raise  # ours, with all that is known of it
        warn_once(f"error: {' '.join(slip.split())}; EQUIPOISE_TRACEBACK=1 shows how it came there")
        return 2
    return 0
