"""Head, cells, footnotes and legend of a board as plain text: what the views for people have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from leaderboard import scoring
from leaderboard.columns import Column
from leaderboard.statistics import Interval
from leaderboard.table import BEST, Board, Row
from leaderboard.views.text import plain

Mark = Literal["", "top", "worse", "rough"]
WORSE, ROUGH = "▾", "~"
"""Signs of a number that was told to be worse than the best, and of a ratio of separate runs."""


class Cell(NamedTuple):
    """A cell's text; whether its number is in the best group, told to be worse, or the ratio of separate runs; and the
    numbers of its footnotes."""

    text: str
    mark: Mark = ""
    notes: str = ""

    @property
    def whole(self) -> str:
        """As plain text."""
        return self.text + (f" [{self.notes}]" if self.notes else "")


class Line(NamedTuple):
    """The cells of a row, and whether it is ranked."""

    cells: list[Cell]
    ranked: bool


class Shown(NamedTuple):
    """A board as text; footnotes are numbered from 1; ``names``: how many columns, from the first, hold names."""

    head: list[str]
    body: list[Line]
    notes: list[str]
    legend: list[str]
    names: int


def cell(interval: Interval | None, digits: int, sign: str = "", *, ends: bool = False) -> str:
    """``mean ± half of the interval``; a dash where nothing was measured.

    One seed has its mean alone. A mean that is NaN or infinite, since that of a seed is, is shown as ``NaN`` or ``∞``.
    ``sign`` is ``+`` for differences. With ``ends`` an interval that is cut off on one side shows both its ends.
    """
    if interval is None:
        return "–"
    mean, low, high = interval
    if not math.isfinite(mean):
        return "NaN" if math.isnan(mean) else ("∞" if mean > 0 else "-∞")
    text = f"{mean:{sign},.{digits}f}"
    if math.isnan(low) or math.isnan(high):
        return text
    half = (high - low) / 2
    if abs((high + low) / 2 - mean) > 0.5 * 10.0**-digits and ends:
        return f"{text} [{low:,.{digits}f}, {high:,.{digits}f}]"
    return f"{text} ± {half:,.{digits}f}"


def shown(board: Board, *, with_task: bool | None = None) -> Shown:
    """The board as text. ``with_task``: whether rows name their task; None: where there are several."""
    rows, chosen = board.rows, board.columns
    several = len({row.task for row in rows}) > 1 if with_task is None else with_task
    with_state = any(row.state != "own" for row in rows)
    head = [*(["task"] if several else []), "method", *(["state"] if with_state else []), "n"]
    head += [one.title for one in chosen]
    remarks = [_remarks(row) for row in rows]
    every = list(dict.fromkeys(note for notes in remarks for note in notes))
    body = []
    for row, notes in zip(rows, remarks, strict=True):
        numbers = ",".join(str(every.index(note) + 1) for note in notes)
        cells = [_cell(row, one, board.against) for one in chosen]
        names = [*([Cell(plain(row.task))] if several else []), Cell(plain(row.method), "", numbers)]
        names += [Cell(row.state)] if with_state else []
        body.append(Line([*names, Cell(str(row.n)), *cells], row.ranked))
    return Shown([plain(name) for name in head], body, every, _legend(board), len(head) - len(chosen) - 1)


def _remarks(row: Row) -> list[str]:
    reason = [] if row.ranked else [f"not ranked: {plain(row.reason)}"]
    return [*reason, *map(plain, row.notes)]


def _cell(row: Row, one: Column, against: str) -> Cell:
    text = _text(row, one, against)
    if one.cost and not row.rounds and row.metrics[one.key] is not None:
        return Cell(text, "rough")
    return Cell(text, "top" if one.key in row.top else "worse" if one.key in row.worse else "")


def _text(row: Row, one: Column, against: str) -> str:
    if one.cost or not against:
        return cell(row.metrics[one.key], one.digits, ends=not one.cost)
    return cell(row.metrics[one.key], one.digits, "+")


def _legend(board: Board) -> list[str]:
    rows, chosen = board.rows, board.columns
    lines = _of_means(board)
    cells = [interval for row in rows for interval in row.metrics.values()]
    if any((one.place or ("", ""))[0] in scoring.OOD_GROUPS for one in chosen):
        lines.append("near, far: mean over those OOD sets, scored by maximum probability unless another score is named")
    lines += _of_costs(rows, chosen)
    if any(row.top for row in rows):
        lines.append(
            f"bold: the best group; {WORSE}: told to be worse (paired t tests, 95 %, Holm over all pairs); "
            "neither: not told apart, at too wide a spread"
        )
    lines += _detectable(board)
    if any(interval is None for interval in cells):
        lines.append(f"–: not measured{_why_not(rows, chosen)}")
    if any(interval and not math.isfinite(interval.mean) for interval in cells):
        lines.append("NaN, ∞: of one seed at least; such a row is in no group")
    return lines


def _of_means(board: Board) -> list[str]:
    """What the numbers are that are no costs."""
    rows, chosen, against = board.rows, board.columns, board.against
    is_alone = max((row.n for row in rows), default=0) <= 1
    alone = "one seed a row: no interval, and nothing to tell apart by"
    if against:
        name = "the best of the column" if against == BEST else plain(against)
        but = " (×MAP: ratios, as ever)" if any(one.cost for one in chosen) else ""
        line = f"difference to {name}, mean over common seeds ± half of its 95 % t interval{but}"
        return [line, alone] if is_alone else [line]
    line = alone if is_alone else "mean over n seeds ± half of its 95 % t interval"
    is_cut = any("[" in _text(row, one, "") for row in rows for one in chosen)
    return [line + (", or its ends where a limit of the metric cuts it" if is_cut else "")]


def _why_not(rows: Sequence[Row], chosen: Sequence[Column]) -> str:
    """Of columns without a number in any row: OOD sets that their tasks do not name."""
    empty = [one for one in chosen if one.place and all(row.metrics[one.key] is None for row in rows if row.n)]
    sides = [side for side in ("near", "far") if any(one.place and one.place[0] == f"ood_{side}" for one in empty)]
    return f"; these tasks name no {' and no '.join(sides)} OOD sets" if sides and any(row.n for row in rows) else ""


def _of_costs(rows: Sequence[Row], chosen: Sequence[Column]) -> list[str]:
    keys = [one.key for one in chosen if one.cost]
    rounds = sorted({row.rounds for row in rows if row.rounds and any(row.metrics[key] for key in keys)})
    lines = []
    if rounds:
        counts = " or ".join(map(str, rounds))
        spread = f"median of {counts} rounds ± half of the quartiles' distance"
        lines.append(f"×MAP: alternated with MAP in one process (ivi cost), {spread}")
    if any(row.metrics[key] for key in keys for row in rows if not row.rounds):
        lines.append(
            f"{ROUGH}: ratio to MAP of the same seed, of separate runs, with whatever else the machine did then"
        )
    return lines


def _detectable(board: Board) -> list[str]:
    """What difference a column would probably have shown at these seeds."""
    several = len(board.detectable) > 1
    parts = []
    for task, by_key in board.detectable.items():
        titles = {one.key: one for one in board.columns if one.key in by_key}
        named = [f"{one.title.rstrip(' ↑↓')} {by_key[key]:.2g}" for key, one in titles.items()]
        if named:
            parts.append((f"{plain(task)}: " if several else "") + ", ".join(named))
    if not parts:
        return []
    return [f"differences that so many seeds would show in 4 of 5 tables: {'; '.join(parts)}"]
