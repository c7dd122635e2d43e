"""A results folder: which runs are done, which are to be made, and who may write there."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from baselines.names import UserError
from benchmarks.executors.local import Job
from benchmarks.suite import Run
from leaderboard.record import Record, latest
from leaderboard.table import Planned

DONE = ("ok", "skipped")


def jobs_to_do(runs: Sequence[Run], records: list[Record], retry: bool) -> list[Job]:
    """Jobs for the runs that have no record yet and, with ``retry``, for those whose records are all bad."""
    found = latest(records)
    attempts: dict[str, int] = {}
    for record in records:
        attempts[record.run_id] = max(attempts.get(record.run_id, 0), record.attempt)
    return [
        Job(run, attempts.get(run.run_id, 0) + 1)
        for run in runs
        if run.run_id not in found or (retry and found[run.run_id].status not in DONE)
    ]


def planned(runs: Sequence[Run]) -> list[Planned]:
    """The runs as the table wants them."""
    return [Planned(run.run_id, run.task.name, run.method.label, run.seed) for run in runs]


def unplanned(runs: Sequence[Run], records: list[Record]) -> list[Planned]:
    """Runs of other methods on the same tasks that have a record: a newcomer's rows stand beside the suite's."""
    versions = {(run.task.name, run.task.version) for run in runs}
    labels = {run.method.label for run in runs}
    return [
        Planned(record.run_id, record.task.name, record.method.label, record.seed)
        for record in latest(records).values()
        if (record.task.name, record.task.version) in versions and record.method.label not in labels
    ]


def estimates(runs: Sequence[Run], records: Sequence[Record]) -> dict[str, float]:
    """Seconds that each run may take, where records of the same task and method tell."""
    seen: dict[tuple[str, str], list[float]] = {}
    for record in records:
        if record.cost:
            key = (record.task.name, record.method.label)
            seen.setdefault(key, []).append(record.cost.fit_s + record.cost.predict_s)
    keyed = {run.run_id: seen.get((run.task.name, run.method.label)) for run in runs}
    return {run_id: sum(values) / len(values) for run_id, values in keyed.items() if values}


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the only `ivi run` that writes to ``folder``; clear away what a killed one left half-written.

    Raises:
        UserError: it cannot be written to, or another process is writing there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; choose another folder with --out") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another 'ivi run' is writing to {folder}: wait for it, or use --out") from None
        for leftover in folder.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        yield


def drop_fits(folder: Path) -> None:
    """Remove the fits that runs shared: they are worth their disk only while a suite is being made."""
    shutil.rmtree(folder / ".fits", ignore_errors=True)
