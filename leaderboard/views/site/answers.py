"""The question that the front page answers from the records: which method is best at what one can afford?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import urlencode

from leaderboard.columns import Column, column
from leaderboard.compare import compare_methods
from leaderboard.statistics import FEW
from leaderboard.table import Bound, Row, fold
from leaderboard.views.cells import cell
from leaderboard.views.site.numbers import command_of, cost_command_of, verified_of
from leaderboard.views.site.reading import BoardRead
from leaderboard.views.site.words import VERIFIED
from leaderboard.views.text import plain

QUESTIONS = (
    ("for at most 1.2 times MAP's training", (("fit", 1.2),)),
    ("for at most 1.2 times MAP's training and twice its prediction", (("fit", 1.2), ("predict", 2.0))),
    ("whatever it costs", ()),
)


@dataclass(frozen=True)
class Answer:
    """The best method of a task within bounds.

    Attributes:
        bounds: in words; ``method``: of the best row, with the ``value`` of its NLL and its ``costs``.
        beside: rows that cannot be told from it.
        sentence: whether it differs from the runner-up; empty where there is none.
        command: makes the row; ``costs_by``: measures its costs; ``verified``: who has computed its numbers again.
        view: address of the board with these bounds; ``page``: of the row.
    """

    bounds: str
    method: str
    value: str
    costs: str
    beside: tuple[str, ...]
    sentence: str
    command: str
    costs_by: str
    verified: str
    view: str
    page: str


def answers(board: BoardRead, task: str, pages: dict[tuple[str, str, str], str]) -> list[Answer]:
    """An answer for each question that ranked rows of the task can answer; none where too few seeds tell them apart."""
    base = (line.group for (of, _), line in board.lines.items() if of == task and line.group.is_base)
    if all(len(group.ok) <= FEW for group in base):
        return []
    found = (_answer(board, task, words, bounds, pages) for words, bounds in QUESTIONS)
    return [one for one in found if one is not None]


def _answer(
    board: BoardRead,
    task: str,
    words: str,
    bounds: tuple[tuple[str, float], ...],
    pages: dict[tuple[str, str, str], str],
) -> Answer | None:
    nll, fit, predict = (column(name) for name in ("nll", "fit", "predict"))
    where = [Bound(column(key), "<=", limit) for key, limit in bounds]
    lines = {row: line for (of, row), line in board.lines.items() if of == task}
    results = [one for line in lines.values() for one in line.group.results.values()]
    made = fold(board.results, board.plan, [nll, fit, predict], costs=board.costs, where=where, tasks=[task])
    rows = [row for row in made.rows if row.ranked and _is_known(row, nll)]
    if not rows or not results:
        return None
    best = rows[0]
    told = _told(board, task, rows)
    query = {"board": board.key, "task": task}
    if bounds:
        query["where"] = ",".join(f"{key}<={limit:g}" for key, limit in bounds)
    group = lines[best.method].group
    return Answer(
        words,
        plain(best.method),
        f"{cell(best.metrics['nll'], nll.digits, ends=True)} nats",
        _costs(best, fit, predict),
        tuple(plain(row.method) for row in rows[1:] if "nll" in row.top),
        told,
        command_of(group),
        cost_command_of(group),
        VERIFIED[verified_of(group)],
        f"board.html#{urlencode(query)}",
        pages[board.key, task, best.method],
    )


def _is_known(row: Row, one: Column) -> bool:
    interval = row.metrics[one.key]
    return interval is not None and math.isfinite(interval.mean)


def _costs(row: Row, fit: Column, predict: Column) -> str:
    training, prediction = (cell(row.metrics[one.key], one.digits) for one in (fit, predict))
    return f"training {training}, prediction {prediction} times MAP's"


def _told(board: BoardRead, task: str, rows: list[Row]) -> str:
    """How the best row compares with the second."""
    if len(rows) < 2:
        return ""
    groups = [line.group for (of, _), line in board.lines.items() if of == task]
    names = (rows[0].method, rows[1].method)
    found, _ = compare_methods(groups, names, column("nll"), board.costs, over_items=False)
    return plain(found[0].seeds.sentence) if found else ""
