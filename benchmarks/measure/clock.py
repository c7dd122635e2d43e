"""What a block of code costs: seconds with the device synchronised, optimizer steps, peak memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook


@dataclass
class Reading:
    """Cost of a block.

    Attributes:
        seconds: wall-clock.
        steps: optimizer steps; one that an optimizer takes within its own is part of that.
        peak_memory: bytes above ``Clock.base_memory``; None where the system does not say.
    """

    seconds: float = 0.0
    steps: int = 0
    peak_memory: int | None = None


class Clock:
    """Measures blocks on one device. Made before the data are loaded: memory counts from what the libraries hold."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        _load_libraries(device)
        gc.collect()
        self.base_memory = 0 if device.type == "cuda" else _resident("VmRSS")

    @contextmanager
    def __call__(self) -> Iterator[Reading]:
        """Measure the block; the reading is complete when the block ends."""
        reading, within = Reading(), 0

        def begun(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
            nonlocal within
            reading.steps += within == 0
            within += 1

        def ended(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
            nonlocal within
            within -= 1

        handles = [register_optimizer_step_pre_hook(begun), register_optimizer_step_post_hook(ended)]
        reset = self._reset_peak()
        start = self.now()
        try:
            yield reading
        finally:
            reading.seconds = self.now() - start
            reading.peak_memory = self._peak() if reset else None
            for handle in handles:
                handle.remove()

    def now(self) -> float:
        """Seconds, when the device has done all it was asked for."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def _reset_peak(self) -> bool:
        """Whether peaks can be measured here."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            return True
        with suppress(OSError):  # not every container has it
            Path("/proc/self/clear_refs").write_text("5")  # Linux: resets the resident set's high-water mark
            return self.base_memory is not None
        return False

    def _peak(self) -> int | None:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        peak = _resident("VmHWM")
        return None if peak is None or self.base_memory is None else max(0, peak - self.base_memory)


def _load_libraries(device: torch.device) -> None:
    """Take the smallest training step there is: torch loads parts of itself only then, 150 MB of them."""
    model = torch.nn.Conv2d(1, 1, 1).to(device)
    model(torch.zeros(1, 1, 1, 1, device=device)).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9).step()


def _resident(key: str) -> int | None:
    """Bytes of resident memory: now (``VmRSS``) or at its peak (``VmHWM``); None where the system does not say."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return None
