"""A worker of a spool: takes one job after another, so that torch is loaded once for many. Imports no torch itself."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.executors.spool import Spool, Taken
from benchmarks.machine import cpu_name
from benchmarks.measure.jobs import Failure, Fitted
from benchmarks.measure.run import Outcome, measure

LOGS = "logs"
"""Folder of what workers print, below that of the spool."""
LOOK = 0.3
"""Seconds between two looks for a job."""


def serve(folder: str, worker: Callable[[], str], idle: float) -> int:
    """Do jobs until there are no more, or none comes for ``idle`` seconds: then the driver is gone. How many were done.

    Args:
        folder: of the spool.
        worker: names this worker; asked where it runs.
        idle: seconds.
    """
    bare_main()
    spool, name, done, last = Spool(Path(folder)), worker(), 0, time.monotonic()
    end, log = _Ending(), f"{spool.folder.name}/{LOGS}/{log_name(name.rpartition('r')[0])}"
    where = f"Slurm job {name}, whose log is {log}"
    _give_back_older(spool, name)
    while not end.near and time.monotonic() - last < idle:
        found = spool.take(name, done + 1)
        if found is None:
            if spool.closed:
                break
            time.sleep(LOOK)
            continue
        taken, job = found
        try:
            outcome = placed(measure(job), where)
        except SystemExit:  # told to end now
            spool.give_back(taken)
            raise
        _finish(spool, taken, outcome)
        done, last = done + 1, time.monotonic()
    return done


def _finish(spool: Spool, taken: Taken, outcome: Outcome) -> None:
    """Write down what came of a job. A driver that starts clears away half-written files: then once more."""
    for _ in range(3):
        try:
            return spool.finish(taken, outcome)
        except FileNotFoundError:
            if spool.closed:  # the driver has ended, and taken the folder along
                return None
    return None


def placed(outcome: Outcome, where: str) -> Outcome:
    """``outcome`` with where it was made: for its record, and the first line of its log."""
    if not isinstance(outcome, Fitted | Failure):
        return outcome
    machine = outcome.machine | {"cpu": cpu_name(), "python": ".".join(map(str, sys.version_info[:3]))}
    words = f"made on {socket.gethostname()} by {where}\n"
    return replace(outcome, machine=machine, printed=words + outcome.printed)


def bare_main() -> None:
    """Forget which program this is: every process of a run would load it again, and no run needs submitit or Ray."""
    main: Any = sys.modules["__main__"]
    main.__spec__ = None
    main.__dict__.pop("__file__", None)


class _Ending:
    """Whether this worker was told that its end is near: Slurm sends SIGUSR2 before a time limit or a preemption.

    SIGTERM, which comes last, ends it: submitit would pass over it.
    """

    def __init__(self) -> None:
        self.near = False
        signal.signal(signal.SIGUSR2, self._told)
        signal.signal(signal.SIGTERM, self._told)

    def _told(self, number: int, frame: FrameType | None) -> None:
        self.near = True
        if number == signal.SIGTERM:
            sys.exit(128 + number)


def _give_back_older(spool: Spool, worker: str) -> None:
    """What this worker had when it was last started: whoever was in its place is gone."""
    base, _, times = worker.rpartition("r")
    for taken in spool.taken():
        other, _, before = taken.worker.rpartition("r")
        if other == base and int(before) < int(times):
            spool.give_back(taken)


def slurm_worker() -> str:
    """The name of this worker, as Slurm counts it: ``12_3r0`` is element 3 of array 12, before any restart."""
    of = os.environ
    array, element = of.get("SLURM_ARRAY_JOB_ID"), of.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{element}" if array and element else of["SLURM_JOB_ID"]
    return f"{job}r{of.get('SLURM_RESTART_COUNT', '0')}"


def log_name(job: str) -> str:
    """The file that submitit lets the first task of a job print to."""
    return f"{job}_0_log.out"
