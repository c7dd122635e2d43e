"""Jobs on this machine: a thread for each watches over a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from benchmarks.executors.chosen import Options, Place
from benchmarks.machine import cores
from benchmarks.measure.process import end_all

__all__ = ["LocalExecutor", "Options", "opened"]


def opened(options: Options, place: Place) -> LocalExecutor:
    """The executor: one job per core on a CPU, one at a time on a GPU, unless the user says otherwise."""
    return LocalExecutor(place.workers or (cores() if place.device == "cpu" else 1))


class LocalExecutor(ThreadPoolExecutor):
    """Threads that hold no work of their own: what is submitted runs in processes, which all end with the executor.

    Attributes:
        reports: (job, phase, done, total), put there while jobs go on.
        at_once, threads: `chosen.JobExecutor`.
    """

    def __init__(self, workers: int) -> None:
        super().__init__(workers, thread_name_prefix="ivi")
        self.at_once, self.threads = 2 * workers, cores()  # so that none waits while the driver scores and keeps
        self.reports: SimpleQueue[tuple[Any, str, int, int]] = SimpleQueue()

    def submit(self, function: Callable[..., Any], job: Any, /) -> Future:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run ``function(job, report)``."""
        return super().submit(function, job, lambda *progress: self.reports.put((job, *progress)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.shutdown(wait=False, cancel_futures=True)
            end_all()
        self.shutdown(wait=True)
