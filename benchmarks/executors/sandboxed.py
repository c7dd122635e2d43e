"""Jobs on this machine, each behind a wall of its own and watched from outside. No torch."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.executors.local import LocalExecutor
from benchmarks.executors.usage import Usage, same_namespace, watched
from benchmarks.executors.wall import Enter, Wall
from benchmarks.measure.process import tree


@dataclass(frozen=True)
class Tell:
    """What a process does first where there is no wall: write down who it is, so that it can be watched."""

    path: str

    def __call__(self, keep: set[int]) -> None:
        """Write the number of this process."""
        Path(self.path).write_text(str(os.getpid()))


class SandboxedExecutor(LocalExecutor):
    """A `LocalExecutor` whose processes are behind ``wall``; where that is None they are watched alone.

    Attributes:
        usages: (job, what it took), of every job that has ended.
    """

    def __init__(self, workers: int, wall: Wall | None, memory: int) -> None:
        super().__init__(workers)
        self.wall, self.memory = wall, memory
        self.usages: list[tuple[Any, Usage]] = []

    def submit(self, function: Callable[..., Any], job: Any, /) -> Future:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run ``function(job, report, enter)``."""
        return ThreadPoolExecutor.submit(self, self._watched, function, job)

    def _watched(self, function: Callable[..., Any], job: Any) -> Any:
        with self.wall.built(job) if self.wall else nullcontext() as enter, _outside(enter) as (told, pids):

            def end() -> None:
                for pid in pids():
                    with suppress(OSError):
                        os.kill(pid, signal.SIGKILL)

            with watched(pids, end, self.memory) as usage:
                outcome = function(job, lambda *progress: self.reports.put((job, *progress)), told)
        self.usages.append((job, usage))
        return outcome


@contextmanager
def _outside(enter: Enter | None) -> Iterator[tuple[Enter | Tell, Callable[[], list[int]]]]:
    """What the process is to do first, and how its tree is seen from here."""
    if enter is not None:
        holder = enter.holder
        own = set(same_namespace(holder))
        yield enter, lambda: [pid for pid in same_namespace(holder) if pid not in own]
        return
    with tempfile.TemporaryDirectory(prefix="ivi-told-") as folder:
        path = Path(folder) / "pid"
        yield Tell(str(path)), lambda: tree(int(path.read_text())) if path.exists() else []
