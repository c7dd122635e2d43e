"""Runs in processes of their own, forked from a server that has torch and timm loaded. Nothing here imports torch."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from baselines.names import UserError
from benchmarks.data.spec import DataError
from benchmarks.measure.environment import begin
from benchmarks.suite import Run, Task
from leaderboard.record import Error, Record, write

PRELOAD = ["benchmarks.measure.run"]
"""Imports torch and timm, which costs seconds: done once, in the fork server."""

OnProgress = Callable[[Run, str, int, int], None]


@dataclass(frozen=True)
class Job:
    """A run to be made, and which attempt at it this is."""

    run: Run
    attempt: int


@dataclass(frozen=True)
class _Worker:
    job: Job
    process: BaseProcess
    connection: Connection


def prepare_data(task: Task) -> None:
    """Decode every set of ``task`` into the cache, so that what is missing is said once, before the first run.

    Raises:
        UserError: a set cannot be had; the message says what to do.
    """
    context = _fork_server()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_prepare, args=(task, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        problem = ours.recv()
    except EOFError:
        problem = "the process that decodes it ended without a word (out of memory?)"
    process.join()
    if problem is not None:
        raise UserError(f"task {task.name}: {problem}")


def _prepare(task: Task, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    from benchmarks.problem import load_task_data

    try:
        for load in load_task_data(task).evaluation.values():
            load()
    except (DataError, UserError) as error:
        connection.send(str(error))
    else:
        connection.send(None)


def run_jobs(
    jobs: Sequence[Job], folder: Path, workers: int, threads: int, on_progress: OnProgress
) -> Generator[tuple[Run, Record]]:
    """Make every job, ``workers`` at a time with ``threads`` of torch each; yield their records as they come.

    A process that vanishes leaves a record of status ``crashed``. When the generator is closed, or this process ends
    in any way, the workers end too.
    """
    context = _fork_server()
    waiting, active = list(reversed(jobs)), []
    try:
        while waiting or active:
            while waiting and len(active) < workers:
                job = waiting.pop()
                ours, theirs = context.Pipe(duplex=False)
                # No daemon: those may have no children, and a streamed set is decoded by some.
                process = context.Process(target=_work, args=(job, folder, threads, theirs))
                process.start()
                theirs.close()
                active.append(_Worker(job, process, ours))
            for ready in wait([worker.connection for worker in active]):
                worker = next(worker for worker in active if worker.connection is ready)
                record = _listen(worker, folder, threads, on_progress)
                if record is not None:
                    active.remove(worker)
                    yield worker.job.run, record
    finally:
        for worker in active:
            worker.process.kill()


def _fork_server() -> ForkServerContext:
    os.environ["PYTHONSAFEPATH"] = "1"  # else the server imports a folder `benchmarks` of wherever it was started
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


def _listen(worker: _Worker, folder: Path, threads: int, on_progress: OnProgress) -> Record | None:
    """Take one message of a worker: progress (None), its record, or its silence for ever."""
    try:
        message = worker.connection.recv()
    except EOFError:
        worker.process.join()
        return _crashed(worker, folder, threads)
    if isinstance(message, Record):
        worker.process.join()
        return message
    on_progress(worker.job.run, *message)
    return None


def _crashed(worker: _Worker, folder: Path, threads: int) -> Record:
    code = worker.process.exitcode or 0
    why = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    hint = " (out of memory?)" if code == -signal.SIGKILL else ""
    record = begin(worker.job.run, worker.job.attempt, threads)
    record = record.model_copy(update={"error": Error(reason=f"the process of this run {why}{hint}")})
    write(folder, record)
    return record


def _work(job: Job, folder: Path, threads: int, connection: Connection) -> None:
    """Make one run, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    threading.Thread(target=_die_with_parent, daemon=True).start()
    from benchmarks.measure.run import execute

    def report(phase: str, done: int, total: int) -> None:
        connection.send((phase, done, total))

    connection.send(execute(job.run, folder, job.attempt, threads, report))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
