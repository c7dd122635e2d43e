"""A process of its own for code that nobody has read: its own group, a time limit, a log.

What it sends is JSON or bytes and is never unpickled. It is forked from a server that has torch and timm loaded;
nothing here imports torch.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

PRELOAD = ["benchmarks.measure.preload"]
"""Imports torch, timm and the built-in methods, which costs seconds: done once, in the fork server."""
LARGEST = 2**34
"""Bytes of one message."""
LOG_KEPT = 2**16
"""Bytes of what a process printed that are kept, from its end."""
Enter = Callable[[set[int]], None]
_LIVE: set[BaseProcess] = set()
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


class Gone(Exception):
    """The process ended without an answer; ``signal`` is set if one killed it."""

    def __init__(self, reason: str, signal: int | None = None) -> None:
        super().__init__(reason)
        self.signal = signal


class TimedOut(Exception):
    """The process was still busy when its time was over."""


class Channel:
    """The child's end: messages with a kind, as JSON; bytes follow their message."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, kind: str, data: bytes | None = None, **values: Any) -> None:
        """Send one message, and ``data`` after it."""
        values |= {"kind": kind, "follows": data is not None}
        self._connection.send_bytes(json.dumps(values).encode())
        if data is not None:
            self._connection.send_bytes(data)

    def wait_for_go(self) -> None:
        """Wait until the other side has started its clock."""
        self._connection.recv_bytes(16)


class Lazily:
    """A function named ``module:name`` that only the process imports: it loads torch."""

    def __init__(self, target: str) -> None:
        self.module, _, self.name = target.partition(":")

    def __call__(self, channel: Channel, job: Any) -> None:
        """Import and call it."""
        getattr(import_module(self.module), self.name)(channel, job)


class Child:
    """The parent's end."""

    def __init__(self, process: BaseProcess, connection: Connection, log: Path, limit: float) -> None:
        self._process, self._connection, self._log = process, connection, log
        self._deadline, self._limit = time.monotonic() + limit, limit

    def go(self) -> None:
        """Let the child begin."""
        with suppress(OSError):
            self._connection.send_bytes(b"go")

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next message and the bytes that follow it.

        Raises:
            Gone: the process ended, or sent what is no message.
            TimedOut: its time is over.
        """
        try:
            values = json.loads(self._bytes())
            data = self._bytes() if values["follows"] else b""
            return values, data
        except (EOFError, OSError):
            self._process.join(2)
            raise Gone(*_ending(self._process.exitcode)) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Gone("sent what is no message") from None

    def printed(self) -> str:
        """The end of what the process printed."""
        with suppress(OSError), self._log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_KEPT))
            return file.read().decode(errors="replace")
        return ""

    def _bytes(self) -> bytes:
        while not self._connection.poll(0):
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimedOut(f"was still busy after {self._limit:g} s")
            ready = wait([self._connection, self._process.sentinel], min(left, 60))
            if self._process.sentinel in ready and not self._connection.poll(0):
                raise EOFError
        return self._connection.recv_bytes(LARGEST)


@contextmanager
def child(
    target: Callable[[Channel, Any], None], job: Any, limit: float, enter: Enter | None = None
) -> Iterator[Child]:
    """Run ``target(channel, job)`` in a process of its own for the block; it and all that it started end with it.

    Args:
        target: a function at the top level of a module.
        job: picklable; goes to the process, never comes from it.
        limit: seconds that it may take.
        enter: picklable; what the process does first of all, with the descriptors that it needs: go behind a wall.
    """
    context = fork_server()
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="ivi-") as scratch:
        log = Path(scratch) / "log"
        # No daemon: those may have no children, and a streamed set is decoded by some.
        process = context.Process(target=_run, args=(target, job, theirs, str(log), enter))
        process.start()
        theirs.close()
        _LIVE.add(process)
        try:
            yield Child(process, ours, log, limit)
        finally:
            _LIVE.discard(process)
            _end(process)
            ours.close()


def end_all() -> None:
    """Kill every process that is left; whoever waits for one is told that it is gone."""
    for process in list(_LIVE):
        if process.pid is not None and process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)


def fork_server() -> ForkServerContext:
    """The server that processes are forked from."""
    os.environ["PYTHONSAFEPATH"] = "1"  # else the server imports a folder `benchmarks` of wherever it was started
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


def _run(
    target: Callable[[Channel, Any], None], job: Any, connection: Connection, log: str, enter: Enter | None
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    os.setsid()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if enter is not None:
        enter({file, connection.fileno()})
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # the fork server ends with the driver, even when that is killed
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)  # what a method leaves behind stays below this process, to be found there
    threading.Thread(target=_die_with_parent, daemon=True).start()
    for stream in (1, 2):
        os.dup2(file, stream)
    try:
        target(Channel(connection), job)
        code = 0
    except BaseException:
        import traceback

        with suppress(Exception):
            os.write(file, traceback.format_exc().encode(errors="replace"))
        code = 1
    os._exit(code)  # threads that a method has left behind are not waited for


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)


def tree(pid: int) -> list[int]:
    """The process and all that it has started, whatever has become of those between."""
    return [pid, *_below(pid)]


def _end(process: BaseProcess) -> None:
    """Kill the process, its group and all below it, and wait until it is gone."""
    pid = process.pid
    assert pid is not None
    with suppress(ProcessLookupError):
        if process.exitcode is None:
            os.kill(pid, signal.SIGSTOP)  # so that it starts nothing more
    for below in _below(pid):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(below, signal.SIGKILL)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    if process.exitcode is None:
        process.kill()
    process.join()


def _below(pid: int) -> list[int]:
    """Every process whose chain of parents leads to ``pid``, or that is in its session."""
    parents: dict[int, int] = {}
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with suppress(OSError, ValueError, IndexError):
                fields = Path(f"/proc/{entry}/stat").read_bytes().rpartition(b")")[2].split()
                parents[int(entry)] = int(fields[1])
                if int(fields[3]) == pid:
                    found.add(int(entry))
    growing = True
    while growing:
        more = {one for one, parent in parents.items() if parent in found | {pid}} - found
        found |= more
        growing = bool(more)
    return sorted(found - {pid})


def _ending(code: int | None) -> tuple[str, int | None]:
    if code is None:
        return "stopped answering", None
    if code < 0:
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        return f"was killed by {signal.Signals(-code).name}{hint}", -code
    return f"ended with exit code {code} without a word", None
