"""This machine: its cores, its devices, where it caches. Nothing here imports torch."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

from baselines.names import UserError, unknown

GPU = Path("/dev/nvidiactl")
"""There where NVIDIA's driver is loaded."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


@cache
def cpu_name() -> str:
    """The processor, as Linux names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def chosen_device(name: str, here: bool = True) -> str:
    """The device that ``--device`` means: ``auto`` is a GPU where torch can use one.

    Args:
        name: of the device.
        here: whether runs are made on this machine; elsewhere there may be other devices, and ``auto`` is the CPU.

    Raises:
        UserError: there is no such kind of device, or none of it here.
    """
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not index.isdecimal()):
        raise unknown("device", name, ["auto", "cpu", "cuda"])
    if kind == "cpu" or (kind == "auto" and here and not _gpus()):
        return "cpu"
    if not here:
        return "cpu" if kind == "auto" else name
    if int(index or 0) >= _gpus():
        raise UserError(f"--device {name}: torch sees {_gpus() or 'no'} GPU here; use --device cpu, or auto")
    return "cuda" if kind == "auto" else name


@cache
def _gpus() -> int:
    """GPUs that this Python's torch can use. Asked of another process: this one need not load torch for it."""
    if not GPU.exists():
        return 0
    code = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdecimal() else 0


def cache_folder() -> Path:
    """Where decoded data and indices are kept: $IVI_CACHE, else ``ivi`` in the user's cache folder of this platform."""
    if "IVI_CACHE" in os.environ:
        return Path(os.environ["IVI_CACHE"])
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ivi"
