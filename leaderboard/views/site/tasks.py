"""What a page about a task shows: its data, split, model, recipe and evaluation, as its records' identity says them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.history import OldRecord
from leaderboard.identity import TaskIdentity
from leaderboard.record import Record
from leaderboard.views.site.reading import BoardRead, Library
from leaderboard.views.site.runs import Table
from leaderboard.views.text import plain

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class TaskText:
    """What the project itself says of a task: a line about it, and facts of its data."""

    words: str
    facts: tuple[tuple[str, str], ...] = ()


def task_page(board: BoardRead, task: str, library: Library) -> dict[str, Any]:
    """What the template shows of a task beside its rows."""
    groups = [line.group for (of, _), line in board.lines.items() if of == task]
    ordered = sorted(groups, key=lambda group: (not group.is_base, bool(group.reason)))
    records = [
        library.records[one.path] for group in ordered for one in group.results.values() if one.path in library.records
    ]
    made = next((one for one in records if isinstance(one, Record)), None)
    return {
        "name": plain(task),
        "facts_of": _facts(made.identity.task) if made else [],
        "sets": _sets(made, records),
    }


def _facts(task: TaskIdentity) -> list[tuple[str, Pairs]]:
    what = [("version", str(task.version)), ("predicts", f"{task.likelihood}, {task.outputs} outputs")]
    data = [("data set", task.data.name), ("spec, SHA-256", task.data.spec), ("content, SHA-256", task.data.content)]
    parts = {"Split": task.split, "Model": task.model, "Recipe": task.recipe, "Evaluation": task.evaluation}
    return [("Task", [*what, *data]), *((title, _pairs(values)) for title, values in parts.items())]


def _pairs(values: Mapping[str, Any], prefix: str = "") -> Pairs:
    pairs: Pairs = []
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, dict) and value:
            pairs += _pairs(value, f"{key}: ")
        elif value not in (None, {}, []):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            pairs.append((plain(name), plain(shown if isinstance(shown, str) else json.dumps(shown))))
    return pairs


def _sets(made: Record | None, records: Sequence[Record | OldRecord]) -> Table:
    if made is not None:
        lines = [[plain(n), f"{one.n:,}", one.inputs, one.labels or "none"] for n, one in made.sets.items()]
        return Table("Sets", ("set", "examples", "inputs, SHA-256", "labels, SHA-256"), lines)
    old = next((one for one in records if isinstance(one, OldRecord) and one.task.fingerprints), None)
    fingerprints = old.task.fingerprints if old else {}
    return Table("Sets", ("set", "fingerprint"), [[plain(name), plain(one)] for name, one in fingerprints.items()])
