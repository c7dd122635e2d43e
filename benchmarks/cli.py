"""The command `ivi`, which answers at once.

`ivi --help` imports every module of `benchmarks.commands`: they import what a command needs inside of it.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.text import Text

from baselines.names import UserError
from benchmarks.commands import board, card, cost, data, library, own, review, site, status, submit, suites
from benchmarks.commands.options import Told, errors
from leaderboard.views.text import plain

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
INTERRUPTED = 130
"""Exit code that typer makes of Ctrl-C, without a word."""

app = typer.Typer(
    name="ivi",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ivi {version('ivi-bench')}")
        raise typer.Exit


@app.callback()
def options(
    shown: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Compare implicit-bias variational inference with the standard methods for uncertainty, under one recipe.

    Start with: ivi run quick
    """


for group in (suites, status, own, board, site, card, cost, data, submit, review, library):
    app.add_typer(group.commands)


def main() -> None:
    """Entry point: bad input is one line on stderr and exit code 2."""
    try:
        app()
    except (ValueError, OSError) as error:  # OSError: a full disk, a folder that vanished
        if not _is_bad_input(error):
            raise
        errors.print(Text.assemble(("error: ", "bold red"), plain(str(error))), soft_wrap=True)
        sys.exit(2)
    except Told:
        raise
    except SystemExit as end:
        if end.code == INTERRUPTED:
            errors.print("interrupted: finished runs are kept; the same command goes on from here", soft_wrap=True)
        raise


def _is_bad_input(error: Exception) -> bool:
    from benchmarks.data.spec import DataError
    from leaderboard.record import RecordError

    return isinstance(error, UserError | DataError | RecordError | OSError)


if __name__ == "__main__":
    main()
