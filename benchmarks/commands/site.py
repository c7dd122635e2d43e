"""`ivi site`: the board as a site of files that needs no server, made from records alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baselines.names import UserError
from benchmarks.commands.options import RESULTS, console, errors

commands = typer.Typer()


@commands.command()
def site(
    folder: Annotated[
        Path, typer.Option("--folder", help="Folder of records, or of such folders.", show_default=True)
    ] = RESULTS,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the site.", show_default=True)] = Path("site"),
    open_it: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Make a site of the board: sort, bound, compare and draw in a browser, offline, from the records alone."""
    try:
        from benchmarks.described import texts
        from leaderboard.views.site.build import build
    except ModuleNotFoundError as error:
        raise UserError(f"a site needs {error.name}: pip install 'ivi-bench[site]'") from None
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    try:
        built = build(folder, out, texts())
    except ValueError as error:
        raise UserError(str(error)) from None
    for finding in built.findings[:5]:
        errors.print(f"set aside: {finding}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print(f"wrote {built.index}: {built.boards} boards, {built.rows} rows", highlight=False, soft_wrap=True)
    if open_it:
        typer.launch(str(built.index))
