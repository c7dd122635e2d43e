"""The board as JSON: for programs."""

from __future__ import annotations

import json
import math
from typing import Any

from leaderboard.table import Board, Row


def as_json(board: Board) -> str:
    """An object with ``rows`` and ``columns``; pure ASCII, so that no reader sees markup in it.

    NaN and infinities are strings and null is what was not measured, as in records. ``detectable``: by task, the
    smallest difference that as many seeds would probably show; ``best``, ``worse``: columns in which a row is marked.
    """
    columns = [{"key": one.key, "title": one.title, "better": one.better} for one in board.columns]
    whole = {
        "against": board.against,
        "columns": columns,
        "detectable": {task: {k: _number(v) for k, v in found.items()} for task, found in board.detectable.items()},
        "rows": [_row(row) for row in board.rows],
    }
    text = json.dumps(whole, indent=1, allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _row(row: Row) -> dict[str, Any]:
    return {
        "task": row.task,
        "method": row.method,
        "n": row.n,
        "ranked": row.ranked,
        "reason": row.reason,
        "state": row.state,
        "notes": list(row.notes),
        "cost_rounds": row.rounds,
        "best": sorted(row.top),
        "worse": sorted(row.worse),
        "metrics": {
            key: interval and {name: _number(value) for name, value in interval._asdict().items()}
            for key, interval in row.metrics.items()
        },
    }


def _number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
