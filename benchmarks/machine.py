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
    if int(index or 0) >= len(_gpus()):
        raise UserError(f"--device {name}: torch sees {len(_gpus()) or 'no'} GPU here; use --device cpu, or auto")
    return "cuda" if kind == "auto" else name


def memory_of(name: str) -> dict[str, int]:
    """The GPUs of this machine that the device ``name`` means, and the bytes that are free on each; none of a CPU.

    ``cuda`` means all of them, ``cuda:1`` that one.
    """
    kind, _, index = name.partition(":")
    found = {f"cuda:{i}": free for i, free in enumerate(_gpus())} if kind == "cuda" else {}
    return {name: found[name]} if index else found


@cache
def _gpus() -> tuple[int, ...]:
    """Free bytes of each GPU that this Python's torch can use. Another process asks: this one need not load torch."""
    if not GPU.exists():
        return ()
    count = "range(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
    code = f"import torch; print(*(torch.cuda.mem_get_info(i)[0] for i in {count}))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()


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
