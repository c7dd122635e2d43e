"""Where and with what a run is made. Nothing here imports torch."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.suite import Run
from leaderboard.record import Environment, MethodInfo, Record, TaskInfo

ROOT = Path(__file__).parents[2]
OURS = ("ivi", "baselines", "benchmarks", "leaderboard")
PACKAGES = (
    "ivi-bench",
    "torch",
    "torchvision",
    "timm",
    "laplace-torch",
    "numpy",
    "mlxtend",
    "scikit-image",
    "datasets",
)


@cache
def code_hash() -> str:
    """SHA-256 of every source file of this program."""
    digest = hashlib.sha256()
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def commit() -> tuple[str | None, bool | None]:
    """Commit of the checkout, and whether its code was changed since; (None, None) outside of a checkout."""
    head = _git("rev-parse", "HEAD")
    if head is None or _git("ls-files", "--error-unmatch", "benchmarks/measure/environment.py") is None:
        return None, None
    code = [f":(glob){package}/**/*.{kind}" for package in OURS for kind in ("py", "toml")]
    return head, bool(_git("status", "--porcelain", "--", *code, "pyproject.toml"))


def begin(run: Run, attempt: int, threads: int, device_name: str = "") -> Record:
    """The record of a run that has begun: what is left of it if its process vanishes."""
    cls = run.method.cls
    return Record(
        run_id=run.run_id,
        attempt=attempt,
        task=TaskInfo(name=run.task.name, version=run.task.version),
        method=MethodInfo(
            label=run.method.label,
            name=run.method.name,
            package=cls.package,
            source_sha256=cls.source_sha256,
            parameters=run.method.parameters,
            resolved=run.method.resolved,
        ),
        seed=run.seed,
        status="crashed",
        environment=environment(run.device, threads, device_name),
    )


def environment(device: str, threads: int, device_name: str = "") -> Environment:
    """The environment as it is now."""
    head, dirty = commit()
    return Environment(
        commit=head,
        dirty=dirty,
        packages={name: found for name in PACKAGES if (found := _version(name))},
        python=platform.python_version(),
        device=device.partition(":")[0],
        device_name=device_name or _cpu(),
        cpu=_cpu(),
        threads=threads,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
