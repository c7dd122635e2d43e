"""Jobs on a cluster that Slurm runs: arrays of workers, sent by submitit, that take jobs from a folder. No torch.

The folder lies below the records, on a file system that all nodes share. A driver that is gone takes nothing with it:
workers finish what waits, and the next `ivi run` finds their outcomes, and those workers that still run or wait.
"""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import Executor, Future
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from baselines.names import UserError
from benchmarks.executors.chosen import Place
from benchmarks.executors.sbatch import ALIVE, JobOptions, NotNow, base_of, cancel, log_of, send, states_of
from benchmarks.executors.spool import Spool, Taken
from benchmarks.executors.worker import LOGS
from benchmarks.measure.jobs import Failure
from leaderboard.record import Status

Options = JobOptions
FOLDER = ".slurm"
ENDS: dict[str, Status] = {"TIMEOUT": "timed_out", "DEADLINE": "timed_out", "OUT_OF_MEMORY": "out_of_memory"}
"""What Slurm's word for the end of a worker means for the run that it had; any other: killed."""
PATIENCE = 15.0
"""Seconds that workers may take to end when all is done."""
WAITING = 512
"""Jobs that workers have or that wait for them, at a time: each lies there with the states that it builds on."""
BARREN = 3
"""Arrays in a row that may end before any of their workers takes a job."""


def opened(options: Options, place: Place) -> SlurmExecutor:
    """The executor.

    Raises:
        UserError: submitit or Slurm is not here.
    """
    if shutil.which("sbatch") is None or shutil.which("squeue") is None:
        raise UserError("--on slurm: no sbatch here: start it on a login node of the cluster")
    try:
        import submitit  # noqa: F401
    except ImportError:
        raise UserError("--on slurm needs submitit: pip install 'ivi-bench[slurm]'") from None
    return SlurmExecutor(options, place)


def status(folder: Path) -> list[str]:
    """What goes on for a folder of records: workers by their state, what each has, and its log."""
    root = folder.absolute() / FOLDER
    if not (root / "queue").is_dir() or shutil.which("squeue") is None:
        return []
    states, spool = states_of(root) or {}, Spool(root)
    alive = {one: state for one, state in states.items() if state in ALIVE}
    counts = {state: list(alive.values()).count(state) for state in dict.fromkeys(alive.values())}
    words = ", ".join(f"{count} {state.lower()}" for state, count in counts.items()) or "none"
    lines = [f"slurm: workers: {words}; {spool.waiting()} jobs wait"]
    for taken in spool.taken():
        job = base_of(taken.worker)
        state, minutes = states.get(job, "gone").lower(), (time.time() - taken.since) / 60
        lines.append(f"  {_title(spool, taken)}: job {job} ({state}), {minutes:.1f} min, {log_of(job, root)}")
    return lines


class SlurmExecutor(Executor):
    """Workers of a spool that Slurm runs, and a thread that looks after them.

    Attributes:
        reports: nothing is put there: how far a run is, stays on its node.
        at_once, threads: `chosen.JobExecutor`.
    """

    def __init__(self, options: Options, place: Place) -> None:
        self.options, self.place = options, place
        self.reports: SimpleQueue[tuple[Any, str, int, int]] = SimpleQueue()
        self.at_once, self.threads = WAITING, options.cpus
        self.root = place.folder.absolute() / FOLDER
        self.spool = Spool(self.root)
        self._open: dict[str, Future] = {}
        self._orders: dict[str, int] = {}
        self._lock, self._over = threading.Lock(), threading.Event()
        self._barren = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._look_after, daemon=True)

    def __enter__(self) -> SlurmExecutor:
        self.spool.make()
        self._thread.start()
        return self

    def submit(self, function: Any, job: Any, /) -> Future:  # pyright: ignore[reportIncompatibleMethodOverride]
        """``measure(job)`` by a worker: ``function`` is that, there as here."""
        key, future = self.spool.put(job), Future()
        with self._lock:
            if self._error is not None:
                raise self._error
            known = self._open.setdefault(key, future)
            if known is future:
                order = self._orders.setdefault(key, len(self._orders))
                if not self.spool.has(key):
                    self.spool.enqueue(key, order)
        return known

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers if all is done; else they go on, and the next driver finds them."""
        self._over.set()
        self._thread.join()
        if error is not None:
            self.place.say("slurm: workers go on with what they were given; ivi status shows them")
            return
        self.spool.close()
        self._end_workers()
        for pattern in ("*.pkl", "*.sh"):
            for path in (self.root / LOGS).glob(pattern):
                path.unlink(missing_ok=True)
        self.spool.drop()

    def _end_workers(self) -> None:
        """Workers end by themselves where nothing waits; those that have not begun, or do not end, are cancelled."""
        cancel(self.root, "--state=PENDING")
        until = time.monotonic() + PATIENCE
        while any(state in ALIVE for state in (states_of(self.root) or {}).values()):
            if time.monotonic() > until:
                cancel(self.root)
                break
            time.sleep(0.5)

    def _look_after(self) -> None:
        try:
            asked = 0.0
            while not self._over.wait(0.2):
                self._collect()
                if time.monotonic() - asked >= self.options.every or not asked:
                    self._check_workers()
                    asked = time.monotonic()
        except BaseException as error:  # whatever it is, the driver must not wait for ever
            self._fail(error)

    def _collect(self) -> None:
        for key in self.spool.done():
            with self._lock:
                future = self._open.get(key)
            if future is None:
                continue
            outcome = self.spool.outcome(key)
            if outcome is None:
                self.spool.enqueue(key, self._orders[key])
                continue
            self._resolve(key, outcome)

    def _resolve(self, key: str, outcome: Any) -> None:
        self._barren = 0
        with self._lock:
            future = self._open.pop(key, None)
        if future is not None:
            future.set_result(outcome)
        self.spool.forget(key)

    def _check_workers(self) -> None:
        states = states_of(self.root)
        if states is None:
            return  # Slurm's controller does not answer: nothing is known, nothing is done
        done = self.spool.done()
        for taken in self.spool.taken():
            self._barren = 0
            state = states.get(base_of(taken.worker), "GONE")
            if state not in ALIVE and taken.key not in done:
                self._lost(taken, state)
        with self._lock:
            wanted = min(self.options.array or self.place.workers or 8, len(self._open))
        alive = sum(state in ALIVE for state in states.values())
        if wanted > alive and self.spool.waiting():
            self._send(wanted - alive)

    def _lost(self, taken: Taken, state: str) -> None:
        """A worker is gone with a job: begin it again, unless it may be the job's own doing, or has happened too often.

        A worker that ran out of time over its first job had all the time that there is.
        """
        status = ENDS.get(state, "killed")
        own = status == "out_of_memory" or (status == "timed_out" and taken.nth == 1)
        if not own and taken.lost < self.options.retries:
            with self._lock:  # else it could be put in once more meanwhile
                self.spool.give_back(taken)
            return
        self.spool.release(taken)
        job = base_of(taken.worker)
        times = f", the last of {taken.lost + 1}" if taken.lost else ""
        reason = f"its worker, Slurm job {job}{times}, ended as {state}; see {log_of(job, self.root)}"
        if taken.key in self._open:
            self._resolve(taken.key, Failure(status, reason))

    def _send(self, count: int) -> None:
        if self._barren >= BARREN:
            logs = self.root / LOGS
            raise UserError(f"--on slurm: {BARREN} arrays of workers ended before one took a job; their logs: {logs}")
        try:
            array = send(self.options, self.place.device, self.root, count)
        except NotNow:
            return  # the next look sends them; those that were taken all the same are seen there
        except UserError:
            if states_of(self.root) is None:  # the controller does not answer now
                return
            raise
        self._barren += 1
        self.place.say(f"slurm: {count} workers sent, job {array}; logs in {self.root / LOGS}")

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error, futures = error, list(self._open.values())
            self._open.clear()
        for future in futures:
            future.set_exception(error)


def _title(spool: Spool, taken: Taken) -> str:
    from benchmarks.progress import title_of

    try:
        return title_of(spool.read(taken.key))
    except (OSError, ValueError):
        return taken.key
