"""`ivi data`: which data sets are here, and what they look like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.commands.options import console

commands = typer.Typer()


@commands.command()
def data(
    name: Annotated[str | None, typer.Argument(help="A data set; without it, all of them in a line each.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Write contact sheets (PNG) of every split, OOD set and corruption there.")
    ] = None,
) -> None:
    """Show data sets: sizes, where they come from on this machine, how to get the missing ones, what they look like."""
    from benchmarks.data import report, sheets

    if name is None:
        console.print(report.overview())
        return
    for table in report.details(name):
        console.print(table)
    if pictures is not None:
        with console.status("drawing contact sheets"):
            written = sheets.contact_sheets(name, pictures)
        for path in written:
            console.print(f"wrote {path}", highlight=False)
