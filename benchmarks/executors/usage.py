"""What a job takes, seen from outside: every process below it, whatever it starts. No torch."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

EVERY = 0.2
"""Seconds between two looks."""
_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


@dataclass
class Usage:
    """What a tree of processes took.

    Attributes:
        seconds: wall-clock.
        cpu: seconds of processor time, of all processes and of those that they waited for.
        memory: bytes, peak of the sum over processes of what is resident and shared with no file.
        processes: most at a time.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    processes: int = 0


@contextmanager
def watched(pids: Callable[[], Collection[int]], too_much: Callable[[], None], limit: int) -> Iterator[Usage]:
    """Look at the processes that ``pids`` names for the block; call ``too_much`` if they hold ``limit`` bytes."""
    usage, over, start = Usage(), threading.Event(), time.perf_counter()

    def look() -> None:
        while not over.wait(EVERY):
            _look(usage, pids())
            if usage.memory > limit:
                too_much()
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield usage
    finally:
        over.set()
        thread.join()
        usage.seconds = time.perf_counter() - start


def _look(usage: Usage, pids: Collection[int]) -> None:
    cpu, memory, count = 0, 0, 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            resident, shared = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
            cpu += sum(map(int, fields[11:15]))
            memory += (resident - shared) * _PAGE
            count += 1
    usage.cpu = max(usage.cpu, cpu / _TICKS)
    usage.memory = max(usage.memory, memory)
    usage.processes = max(usage.processes, count)


def same_namespace(holder: int) -> list[int]:
    """The processes in the PID namespace of ``holder``."""
    wanted = _namespace(str(holder))
    return [int(one) for one in os.listdir("/proc") if one.isdecimal() and wanted and _namespace(one) == wanted]


def _namespace(pid: str) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return ""
