"""Jobs on this machine: a thread for each watches over a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from benchmarks.measure.process import end_all


class LocalExecutor(ThreadPoolExecutor):
    """Threads that hold no work of their own: what is submitted runs in processes, which all end with the executor.

    Attributes:
        reports: (job, phase, done, total), put there while jobs go on.
    """

    def __init__(self, workers: int) -> None:
        super().__init__(workers, thread_name_prefix="ivi")
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
