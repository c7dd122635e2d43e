"""What a block of code costs: seconds with the device synchronised, optimizer steps, peak memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook


@dataclass
class Reading:
    """Cost of a block so far.

    Attributes:
        seconds: wall-clock.
        shared: the part of ``seconds`` that went into fits which other runs share.
        steps: optimizer steps.
        peak_memory: bytes above ``Clock.base_memory``.
    """

    seconds: float = 0.0
    shared: float = 0.0
    steps: int = 0
    peak_memory: int = 0

    def add(self, other: Reading) -> None:
        """Take another block's cost on top; the peak is the larger of the two."""
        self.seconds += other.seconds
        self.shared += other.shared
        self.steps += other.steps
        self.peak_memory = max(self.peak_memory, other.peak_memory)


class Clock:
    """Measures blocks on one device. Made before the data are loaded: memory counts from what the libraries hold."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._open: list[Reading] = []
        _load_libraries(device)
        gc.collect()
        self.base_memory = 0 if device.type == "cuda" else _resident("VmRSS")

    @contextmanager
    def __call__(self) -> Iterator[Reading]:
        """Measure the block; the reading is complete when the block ends. Blocks may nest."""
        reading = Reading()

        def count(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
            reading.steps += 1

        handle = register_optimizer_step_post_hook(count)
        self._note_peak()
        self._open.append(reading)
        self._reset_peak()
        start = self.now()
        try:
            yield reading
        finally:
            reading.seconds += self.now() - start
            self._note_peak()
            self._open.remove(reading)
            handle.remove()

    def mark(self) -> tuple[float, int]:
        """A point in the innermost open block, for `charge`."""
        return self.now(), self._open[-1].steps

    def charge(self, mark: tuple[float, int], cost: Reading, shared: float) -> None:
        """Charge ``cost`` in place of what the innermost block measured since ``mark``.

        ``shared`` seconds of it went into fits that other runs share.
        """
        reading, (start, steps) = self._open[-1], mark
        reading.seconds += cost.seconds - (self.now() - start)
        reading.steps = steps + cost.steps
        reading.shared += shared
        reading.peak_memory = max(reading.peak_memory, cost.peak_memory)

    def now(self) -> float:
        """Seconds, when the device has done all it was asked for."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def _note_peak(self) -> None:
        peak = self._peak()
        for reading in self._open:
            reading.peak_memory = max(reading.peak_memory, peak)

    def _reset_peak(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            Path("/proc/self/clear_refs").write_text("5")  # Linux: resets the resident set's high-water mark

    def _peak(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return max(0, _resident("VmHWM") - self.base_memory)


def _load_libraries(device: torch.device) -> None:
    """Take the smallest training step there is: torch loads parts of itself only then, 150 MB of them."""
    model = torch.nn.Conv2d(1, 1, 1).to(device)
    model(torch.zeros(1, 1, 1, 1, device=device)).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9).step()


def _resident(key: str) -> int:
    """Bytes of resident memory: now (``VmRSS``) or at its peak (``VmHWM``)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")
