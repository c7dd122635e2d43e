"""What the board's page computes with: every number of the table and those of each seed, as JSON inside of the page."""

from __future__ import annotations

import base64
import json
import math
import shlex
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from leaderboard.columns import GROUPS, Column, columns
from leaderboard.results import Result
from leaderboard.rows import Group
from leaderboard.scoring import OOD_GROUPS
from leaderboard.statistics import LEVEL, Interval
from leaderboard.table import Row
from leaderboard.views.site.reading import BoardRead, Library
from leaderboard.views.site.words import RANKING, VERIFIED, verified_state
from leaderboard.views.text import plain

DIGITS = 10
"""Significant digits of the numbers of single seeds: far more than any number that is shown of them has."""
MOST_RANKED = 100
"""Methods for which the page knows the critical difference of ranks."""


def embedded(value: Any) -> str:
    """``value`` as JSON, deflated and in base64: a third of the size, and letters in which no parser sees markup."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def number(value: float) -> float | str:
    """As in records: NaN and infinities are strings."""
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def page_data(library: Library, pages: Mapping[tuple[str, str, str], str], tasks: Mapping[tuple[str, str], str]) -> Any:
    """All that the board's page knows.

    Args:
        library: what was read.
        pages: key of the board, task, row -> address of the row's page.
        tasks: key of the board, task -> address of the task's page.
    """
    most = max((len(board.board.rows) for board in library.boards), default=0)
    return {
        "boards": [_board(board, library, pages, tasks) for board in library.boards],
        "ranked": {state: meaning for state, (_, meaning) in RANKING.items()},
        "badges": {state: badge for state, (badge, _) in RANKING.items()},
        "verified": VERIFIED,
        "nemenyi": _nemenyi(min(most, MOST_RANKED)) if any(len(board.tasks) > 1 for board in library.boards) else [],
    }


def _nemenyi(most: int) -> list[float]:
    """By number of methods, from 2 on: the critical value of the Nemenyi test at 95 %, q / sqrt 2."""
    return [_range_quantile(k) / math.sqrt(2.0) for k in range(2, most + 1)]


def _range_quantile(k: int) -> float:
    """The 95 % quantile of the range of ``k`` standard normals, by bisection.

    Formula: P(range <= q) = k * integral of phi(z) (Phi(z) - Phi(z - q))^(k - 1) dz, by the trapezoidal rule, which is
    exact to rounding for so smooth a function. In place of SciPy's, whose import takes longer than the whole page.
    """
    z = np.linspace(-9.0, 9.0, 361)
    density = np.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi)
    below, low, high = _normal(z), 0.0, 10.0
    for _ in range(44):
        q = (low + high) / 2.0
        inside = k * float(np.sum(density * (below - _normal(z - q)) ** (k - 1))) * (z[1] - z[0])
        low, high = (low, q) if inside > LEVEL else (q, high)
    return high


def _normal(z: np.ndarray) -> np.ndarray:
    """The standard normal's distribution function."""
    return np.array([0.5 * math.erfc(-one / math.sqrt(2.0)) for one in z.tolist()])


def _board(
    board: BoardRead,
    library: Library,
    pages: Mapping[tuple[str, str, str], str],
    tasks: Mapping[tuple[str, str], str],
) -> dict[str, Any]:
    groups = _groups(board)
    runs: dict[Any, int] = {}
    by_task: dict[str, list[Any]] = {}
    for row in board.board.rows:
        page = pages[board.key, row.task, row.method]
        by_task.setdefault(row.task, []).append(_row(row, board, library, page, runs))
    detectable = board.board.detectable
    return {
        "key": board.key,
        "title": plain(board.title),
        "suite": board.suite,
        "folder": plain(str(board.folder)),
        "default": list(board.default),
        "columns": [_column(one, groups) for one in board.columns],
        "tasks": [
            {
                "name": plain(task),
                "page": tasks[board.key, task],
                "detectable": {key: number(value) for key, value in detectable.get(task, {}).items()},
                "rows": rows,
            }
            for task, rows in by_task.items()
        ],
    }


def _groups(board: BoardRead) -> dict[str, list[str]]:
    """Names of groups -> keys of their columns, as on the command line."""
    found = {name: [one.key for one in columns([name], board.results)] for name in GROUPS if name != "all"}
    return {"main": list(board.default), **found}


def _column(one: Column, groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    names = [name for name, keys in groups.items() if one.key in keys]
    return {
        "key": one.key,
        "title": plain(one.title),
        "digits": one.digits,
        "ratio": bool(one.cost),
        "better": one.better,
        "groups": names or ["main"],
        "ood": bool(one.place and one.place[0] in OOD_GROUPS),
    }


def _row(row: Row, board: BoardRead, library: Library, page: str, runs: dict[Any, int]) -> dict[str, Any]:
    line = board.lines[row.task, row.method]
    group = line.group
    seeds = sorted(group.ok)
    is_alternated = line.measured is not None
    return {
        "name": plain(row.method),
        "label": plain(group.label),
        "n": row.n,
        "ranked": row.ranked,
        "reason": plain(row.reason),
        "state": group.state,
        "standing": row.state,
        "notes": [plain(note) for note in row.notes],
        "base": group.is_base,
        "rounds": row.rounds,
        "source": line.measured.source if line.measured else "",
        "page": page,
        "command": command_of(group),
        "verified": verified_of(group),
        "best": sorted(row.top),
        "worse": sorted(row.worse),
        "seeds": seeds,
        "chance": list(group.at_chance),
        "alike": [_alike(group.ok[seed], runs) for seed in seeds],
        "cells": [_cell(row.metrics[one.key]) for one in board.columns],
        "values": [
            _values(line.values.get(one.key, {}), None if one.cost and is_alternated else seeds)
            for one in board.columns
        ],
    }


def _alike(one: Result, runs: dict[Any, int]) -> int:
    """A number that two runs share if they may be paired (`leaderboard.rows.comparable`)."""
    return runs.setdefault((one.setting, one.device_name, one.stack, one.metrics_version), len(runs))


def _cell(interval: Interval | None) -> list[float | str] | None:
    return None if interval is None else [number(value) for value in interval]


def _values(values: Mapping[int, float], seeds: Sequence[int] | None) -> list[float | str | None] | None:
    """By seed, or by round; null for one that has none."""
    if not values:
        return None
    keys = range(max(values) + 1) if seeds is None else seeds
    return [number(float(f"{values[key]:.{DIGITS}g}")) if key in values else None for key in keys]


def command_of(group: Group) -> str:
    """The command that makes the row, with the seeds it has or should have."""
    seeds = sorted(group.runs)
    which = str(len(seeds)) if seeds == list(range(len(seeds))) else ",".join(map(str, seeds))
    which = f"{which}," if len(seeds) == 1 and which != "1" else which
    return f"ivi run {_row_of(group)} -s {which}{_device_of(group)}"


def cost_command_of(group: Group) -> str:
    """The command that measures its costs in turns with MAP."""
    return f"ivi cost {_row_of(group)}{_device_of(group)}"


def _row_of(group: Group) -> str:
    return f"{shlex.quote(plain(group.task))} -m {shlex.quote(plain(group.label))}"


def _device_of(group: Group) -> str:
    one = group.one
    return f" --device {one.device}" if one and one.device != "cpu" else ""


def verified_of(group: Group) -> str:
    """Who has computed the row's numbers again: the least of what is known of its runs."""
    return verified_state(list(group.results.values()))
