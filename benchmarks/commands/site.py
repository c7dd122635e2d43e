"""`ivi site`: the board as a site of files that needs no server, made from records alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from baselines.names import UserError
from benchmarks.commands.options import RESULTS, console, errors

if TYPE_CHECKING:
    from leaderboard.views.site.build import Built

commands = typer.Typer()


@commands.command()
def site(
    folder: Annotated[
        Path, typer.Option("--folder", help="Folder of records, or of such folders.", show_default=True)
    ] = RESULTS,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the site.", show_default=True)] = Path("site"),
    open_it: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    serve_it: Annotated[
        bool, typer.Option("--serve", help="Serve it to this machine, and make it anew whenever a run finishes.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="For --serve.")] = 8000,
    screenshot: Annotated[
        Path | None, typer.Option(help="Also write a PNG of the board's page: needs Chromium.")
    ] = None,
) -> None:
    """Make a site of the board: sort, bound, compare and draw in a browser, offline, from the records alone."""
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder: make records with 'ivi run quick', or name the folder with --folder"
        )
    built = _built(folder, out)
    if screenshot is not None:
        _photograph(built.index.with_name("board.html"), screenshot)
    if open_it:
        typer.launch(f"http://127.0.0.1:{port}/" if serve_it else str(built.index))
    if serve_it:
        _serve(folder, out, port)


def _built(folder: Path, out: Path) -> Built:
    try:
        from benchmarks.described import texts
        from leaderboard.views.site.build import build
    except ModuleNotFoundError as error:
        raise UserError(f"a site needs {error.name}: pip install 'ivi-bench[site]'") from None
    try:
        built = build(folder, out, texts())
    except ValueError as error:
        raise UserError(str(error)) from None
    for finding in built.findings[:5]:
        errors.print(Text(f"set aside: {finding}", "yellow"), soft_wrap=True)
    if len(built.findings) > 5:
        errors.print(f"and {len(built.findings) - 5} more files set aside: ivi verify names them", style="yellow")
    console.print(Text(f"wrote {built.index}: {built.boards} boards, {built.rows} rows"), soft_wrap=True)
    return built


def _photograph(page: Path, to: Path) -> None:
    from leaderboard.views.site.camera import photograph

    try:
        photograph(page, "where=fit%3C%3D1.2", to)
    except ValueError as error:
        raise UserError(str(error)) from None
    console.print(Text(f"wrote {to}"), soft_wrap=True)


def _serve(folder: Path, out: Path, port: int) -> None:
    from leaderboard.views.site.serving import serve

    def again() -> None:
        try:
            _built(folder, out)
        except UserError as error:
            errors.print(Text(f"left as it is: {error}", "yellow"), soft_wrap=True)

    console.print(f"at http://127.0.0.1:{port}/ until Ctrl-C; reload it after a run", highlight=False)
    try:
        serve(folder, out, port, again)
    except OSError as error:
        raise UserError(f"port {port}: {error.strerror}; choose another with --port") from None
