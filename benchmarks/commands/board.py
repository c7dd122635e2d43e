"""`ivi table`: from records to what one reads."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from baselines.names import UserError
from benchmarks import results, views
from benchmarks.commands.options import RESULTS, Device, Extra, Methods, Out, Seeds, chosen_runs, console
from leaderboard import table as board
from leaderboard.record import read_all

commands = typer.Typer()


class Format(StrEnum):
    """Views of a table."""

    terminal = "terminal"
    md = "md"
    csv = "csv"
    json = "json"
    latex = "latex"


@commands.command()
def table(
    suite: Annotated[str | None, typer.Argument(help="Name of a suite; all records of the folder without it.")] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How to show it.")] = Format.terminal,
    methods: Methods = None,
    seeds: Seeds = None,
    device: Device = "auto",
    out: Out = RESULTS,
    method: Extra = None,
    write: Annotated[
        Path | None, typer.Option(help="Put the Markdown table into this file, between its marks for the suite.")
    ] = None,
) -> None:
    """Show the table of a suite from its records: mean over seeds ± 95 % t interval; costs as ratios to MAP."""
    records = read_all(out)
    if suite is None:
        if not records:
            raise UserError(f"no records in {out}: make some with 'ivi run quick', or name the folder with --out")
        planned, title = board.planned_of(records), f"all records in {out}"
    else:
        chosen, runs = chosen_runs(suite, methods, seeds, device, method)
        planned, title = results.planned(runs), chosen.description
        if methods is None:
            planned += results.unplanned(runs, records)
    rows = board.fold(records, planned)
    if write is not None:
        try:
            write.write_text(board.insert(write.read_text(), suite or "all", board.as_markdown(rows)))
        except (OSError, ValueError) as error:
            raise UserError(f"{write}: {getattr(error, 'strerror', None) or error}") from None
        return
    if format is Format.terminal:
        views.show_table(console, rows, title)
        return
    text = {
        Format.md: board.as_markdown,
        Format.csv: lambda rows: board.frame(rows).to_csv(index=False).rstrip("\n"),
        Format.json: board.as_json,
        Format.latex: board.as_latex,
    }[format](rows)
    typer.echo(text)
