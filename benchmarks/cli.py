"""The command `ivi`. Imports torch only where a command needs it, so that the others answer at once."""

from __future__ import annotations

import sys

import typer

from baselines.names import UserError
from benchmarks.commands import board, cost, data, library, suites
from benchmarks.commands.options import errors
from benchmarks.data.spec import DataError
from leaderboard.record import RecordError

INTERRUPTED = 130
"""Exit code that typer makes of Ctrl-C, without a word."""

app = typer.Typer(
    name="ivi",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Compare implicit-bias variational inference with the standard methods for uncertainty, under one recipe.\n\n"
    "Start with: ivi run quick",
)
for group in (suites, board, cost, data, library):
    app.add_typer(group.commands)


def main() -> None:
    """Entry point: bad input is one line on stderr and exit code 2."""
    try:
        app()
    except (UserError, DataError, RecordError) as error:
        errors.print(f"[bold red]error:[/] {_escaped(error)}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except OSError as error:  # a full disk, a folder that vanished
        errors.print(f"[bold red]error:[/] {_escaped(error)}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            errors.print("interrupted: finished runs are kept; the same command goes on from here", soft_wrap=True)
        raise


def _escaped(error: Exception) -> str:
    return str(error).replace("[", "\\[")


if __name__ == "__main__":
    main()
