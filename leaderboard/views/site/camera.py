"""A picture of a page as a browser shows it, for documents that cannot hold the page itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 120


def photograph(page: Path, view: str, to: Path, size: tuple[int, int] = (1800, 820)) -> None:
    """Write a PNG of ``page`` with ``view`` as the part of its address after ``#``, in a window of ``size`` pixels.

    Raises:
        ValueError: there is no browser on this machine, or it made no picture.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise ValueError(f"a screenshot needs a browser: one of {', '.join(BROWSERS)}")
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        options = [f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", "--hide-scrollbars"]
        options += ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
        shot = [f"--screenshot={to.absolute()}", f"{page.absolute().as_uri()}#{view}"]
        command = [browser, "--headless", "--disable-gpu", "--virtual-time-budget=5000", *options, *shot]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if not to.is_file():
        lines = done.stderr.strip().splitlines() or ["no word"]
        raise ValueError(f"{browser} made no picture: {lines[-1]}")
