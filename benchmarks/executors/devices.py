"""Which device a job runs on: those of one machine are shared out by the memory that jobs of a kind were seen to take.

Nothing here asks a device: names and bytes are given. No torch.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

MARGIN = 1.25
"""What a job is given of what its kind took before: an allocator holds more than tensors do, and in pieces."""
CONTEXT = 2**30
"""Bytes that a process takes of a GPU for its libraries, beside its tensors."""
AT_ONCE = 4
"""Most jobs beside each other on one device: they share its time, and each needs a core."""


@dataclass(frozen=True)
class Room:
    """What a job was given: devices, and of each so many bytes; ``whole``: all there are, and nobody beside it."""

    devices: tuple[str, ...]
    bytes: int
    whole: bool


@dataclass
class Devices:
    """The devices of a machine, and who is on them.

    A job whose kind has not been measured has a device to itself; later ones of the kind are put beside others, where
    most is left. A job that wants several devices has each to itself. Jobs are served in the order in which they ask,
    so that a large one is not overtaken for ever.

    Attributes:
        free: bytes that may be used of each device.
        at_once: most jobs beside each other on one device.
        took: kind -> most bytes that a job of it took.
    """

    free: Mapping[str, int]
    at_once: int = AT_ONCE
    took: dict[Hashable, int] = field(default_factory=dict)
    _here: dict[str, list[Room]] = field(init=False, repr=False)
    _line: list[object] = field(default_factory=list, repr=False)
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def __post_init__(self) -> None:
        self._here = {device: [] for device in self.free}

    @contextmanager
    def room(self, kind: Hashable, count: int = 1) -> Iterator[Room]:
        """Wait for room for a job of ``kind`` on ``count`` devices, and hold it for the block."""
        ticket = object()
        with self._changed:
            self._line.append(ticket)
            try:
                while self._line[0] is not ticket or (room := self.found(kind, count)) is None:
                    self._changed.wait()
                for device in room.devices:
                    self._here[device].append(room)
            finally:
                self._line.remove(ticket)
                self._changed.notify_all()
        try:
            yield room
        finally:
            with self._changed:
                for device in room.devices:
                    self._here[device].remove(room)
                self._changed.notify_all()

    def found(self, kind: Hashable, count: int = 1) -> Room | None:
        """Room for a job of ``kind`` now; None if it has to wait."""
        wanted = round(MARGIN * self.took[kind]) + CONTEXT if kind in self.took else None
        if count > 1 or wanted is None or wanted > max(self.free.values()):
            idle = sorted((one for one in self.free if not self._here[one]), key=lambda one: -self.free[one])
            chosen = tuple(idle[:count])
            return Room(chosen, min(self.free[one] for one in chosen), True) if len(chosen) == count else None
        device = max(self.free, key=self._left)
        return Room((device,), wanted, False) if wanted <= self._left(device) else None

    def measured(self, kind: Hashable, taken: int) -> None:
        """Note what a job of ``kind`` took, in bytes."""
        with self._changed:
            self.took[kind] = max(taken, self.took.get(kind, 0))
            self._changed.notify_all()

    def forget(self, kind: Hashable) -> None:
        """Give the next job of ``kind`` a device to itself: beside others it found too little."""
        with self._changed:
            self.took.pop(kind, None)

    def _left(self, device: str) -> int:
        here = self._here[device]
        if len(here) >= self.at_once or any(room.whole for room in here):
            return -1
        return self.free[device] - sum(room.bytes for room in here)
