"""The board on a terminal: rich text, in which nothing that strangers wrote is markup or an escape sequence."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from leaderboard.table import Board
from leaderboard.views.cells import ROUGH, WORSE, Cell, Shown, shown
from leaderboard.views.text import plain

_STYLES = {"top": "bold", "worse": "", "rough": "dim", "": ""}


def show(console: Console, board: Board, title: str, *, legend: bool = True) -> None:
    """Print the board, a part per task. Intervals go below their means where there is no room beside."""
    console.print(Text(plain(title), style="italic"))
    for task in dict.fromkeys(row.task for row in board.rows):
        part = shown(_part(board, task), with_task=False)
        console.print(Text(plain(task), style="bold cyan"))
        print_whole(console, _table(part, console.width))
        for i, note in enumerate(part.notes, 1):
            console.print(Text(f"[{i}] {note}", style="yellow"))
    for line in shown(board).legend if legend else []:
        console.print(Text(line, style="dim"))


def _part(board: Board, task: str) -> Board:
    """The rows of one task, without columns that other tasks alone have numbers in."""
    rows = [row for row in board.rows if row.task == task]
    if len(rows) == len(board.rows):
        return board
    filled = [one for one in board.columns if any(row.metrics[one.key] for row in rows)]
    return replace(board, rows=rows, columns=filled or board.columns)


def _table(part: Shown, width: int) -> Table:
    lines = [part.head, *([cell.whole for cell in line.cells] for line in part.body)]
    wide = sum(max(len(line[i]) for line in lines) + 2 for i in range(len(part.head))) <= width
    view = Table(header_style="bold", box=None, padding=(0, 1, 0, 0))
    for i, name in enumerate(part.head):
        title = Text(name if wide else name.replace(" ", "\n"))
        view.add_column(title, justify="right" if i else "left", no_wrap=True, vertical="bottom")
    for line in part.body:
        view.add_row(*(_cell(cell, wide) for cell in line.cells), style="" if line.ranked else "dim")
    return view


def print_whole(console: Console, view: Table) -> None:
    """Print a table with no cell cut off: a terminal that is too narrow wraps its lines."""
    width = console.width
    try:
        console.width = max(width, console.measure(view, options=console.options.update(max_width=10_000)).maximum)
        console.print(view, crop=False)
    finally:
        console.width = width


def _cell(cell: Cell, wide: bool) -> Text:
    if cell.notes:
        return Text(cell.whole)
    mean, sign, half = cell.text.partition(" ± ")
    before, after = (ROUGH if cell.mark == "rough" else ""), (WORSE if cell.mark == "worse" else "")
    interval = ((sign if wide else "\n±") + half, "dim") if sign else ""
    return Text.assemble((before + mean + after, _STYLES[cell.mark]), interval)
