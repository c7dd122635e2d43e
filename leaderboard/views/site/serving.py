"""The site while runs finish: served to this machine alone, and built anew when the folder of records changes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
EVERY = 2.0
"""Seconds between two looks at the folder."""


class _Quiet(SimpleHTTPRequestHandler):
    """Files of the site, which no browser should keep, and no line for each of them."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def state_of(folder: Path) -> tuple[int, int, int]:
    """What changes when a run finishes: how many JSON files there are, how large, and the time of the newest."""
    count = size = newest = 0
    for inner, _, names in os.walk(folder):
        for name in names:
            if not name.endswith(".json") or name.startswith("."):
                continue
            try:
                found = os.stat(os.path.join(inner, name))
            except OSError:  # it went away meanwhile
                continue
            count, size, newest = count + 1, size + found.st_size, max(newest, found.st_mtime_ns)
    return count, size, newest


def serve(folder: Path, site: Path, port: int, rebuild: Callable[[], None]) -> None:
    """Serve ``site`` at ``port`` of this machine until it is interrupted; ``rebuild`` whenever ``folder`` changed.

    Raises:
        OSError: the port is taken.
    """
    server = ThreadingHTTPServer((HOST, port), partial(_Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        watch(folder, rebuild, lambda: time.sleep(EVERY))
    finally:
        server.shutdown()
        server.server_close()


def watch(folder: Path, rebuild: Callable[[], None], wait: Callable[[], None]) -> None:
    """``rebuild`` after each ``wait`` in which ``folder`` changed, and once it is quiet: a run writes several files."""
    built, before = state_of(folder), None
    while True:
        wait()
        now = state_of(folder)
        if now != built and now == before:
            rebuild()
            built = now
        before = now
