"""What is done in a results folder, and what is to be made."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from baselines.registry import variants
from baselines.spec import parse
from benchmarks.measure.environment import Stack
from benchmarks.runs import Run
from leaderboard.plan import Plan, is_base, planned_run
from leaderboard.record import Record
from leaderboard.store import latest

DONE = ("ok", "skipped")
NOBODYS_FAULT = ("killed",)
"""Ends that say nothing about the method: such runs are made again without being asked for."""


class Todo(StrEnum):
    """Which runs are made, besides those without a record."""

    NEW = "new"
    FAILED = "failed"
    STALE = "stale"


def to_do(runs: Sequence[Run], records: Sequence[Record], redo: Todo, stack: Stack) -> dict[str, int]:
    """Run id -> number of the attempt, of the runs to be made."""
    found = latest(records)
    attempts: dict[str, int] = {}
    for record in records:
        attempts[record.run_id] = max(attempts.get(record.run_id, 0), record.attempt)
    return {run.run_id: attempts.get(run.run_id, 0) + 1 for run in runs if _again(found.get(run.run_id), redo, stack)}


def _again(record: Record | None, redo: Todo, stack: Stack) -> bool:
    if record is None or record.status in NOBODYS_FAULT:
        return True
    if record.status not in DONE:
        return redo in (Todo.FAILED, Todo.STALE)
    return redo is Todo.STALE and is_stale(record, stack)


def is_stale(record: Record, stack: Stack) -> bool:
    """Whether it was made with other code or packages than there are now."""
    packages = record.environment.packages
    return record.environment.code != stack.code or any(packages.get(k) != v for k, v in stack.packages.items())


def planned(suite: str, description: str, runs: Sequence[Run]) -> Plan:
    """The plan that lies beside the records, so that they are read without the suite."""
    names = {label: row_name(label) for label in {run.method.label for run in runs}}
    members = [
        planned_run(run.identity, names[run.method.label], is_base(run.identity.method, not run.method.parameters))
        for run in runs
    ]
    return Plan(suite=suite, description=description, runs=tuple(members))


def row_name(label: str) -> str:
    """What the row of a method with this label is called: with the names of variants in it, as suites write them.

    Example:
        >>> row_name("own_rate(of=implicit_vi(noise=shared), lr=0.02)")
        'own_rate(of=implicit_vi_shared, lr=0.02)'
    """
    meant = {parse(text).text: name for name, text in variants().items()}
    for text in sorted(meant, key=len, reverse=True):
        label = label.replace(f"={text}", f"={meant[text]}")
    return label


def estimates(runs: Sequence[Run], records: Sequence[Record]) -> dict[str, float]:
    """Seconds that each run may take, where records of the same task and method tell."""
    seen: dict[tuple[str, str], list[float]] = {}
    for record in records:
        if record.cost:
            key = (record.identity.task.name, record.label)
            seen.setdefault(key, []).append(record.cost.fit_s - record.cost.shared_s + record.cost.predict_s)
    keys = {run.run_id: (run.task.name, run.method.label) for run in runs}
    return {run_id: sum(seen[key]) / len(seen[key]) for run_id, key in keys.items() if key in seen}
