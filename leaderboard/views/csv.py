"""The board as CSV: every number of it. What strangers wrote is no formula to a spreadsheet."""

from __future__ import annotations

import csv
import io
import math

from leaderboard.statistics import Interval
from leaderboard.table import Board
from leaderboard.views.text import plain

FIELDS = ("task", "method", "n", "ranked", "reason", "state")
_FORMULA = tuple("=+-@＝＋－＠")


def escaped(text: str) -> str:
    """``text`` as a cell that a spreadsheet shows and does not compute."""
    text = plain(text)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def as_csv(board: Board) -> str:
    """Every number: per column its mean, low and high; empty cells where nothing was measured or has no bounds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = [f"{one.key}{end}" for one in board.columns for end in ("", "_low", "_high")]
    writer.writerow([*FIELDS, "notes", *map(escaped, head)])
    for row in board.rows:
        cells = [cell for one in board.columns for cell in _cells(row.metrics[one.key])]
        names = [escaped(row.task), escaped(row.method), row.n, row.ranked, escaped(row.reason), row.state]
        writer.writerow([*names, escaped("; ".join(row.notes)), *cells])
    return text.getvalue().rstrip("\n")


def _cells(interval: Interval | None) -> list[float | str]:
    if interval is None:
        return [""] * 3
    return [interval.mean, *("" if math.isnan(bound) else bound for bound in interval[1:])]
