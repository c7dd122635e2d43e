"""With what a run is made: our own code, packages, commit. Nothing here imports torch."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from baselines.registry import known_methods
from benchmarks.machine import cpu_name
from leaderboard.record import Environment

ROOT = Path(__file__).parents[2]
OURS = ("ivi", "baselines", "benchmarks", "leaderboard")
DECIDING = ("ivi", "baselines", "benchmarks/data", "benchmarks/models", "benchmarks/measure", "benchmarks/problem.py")
"""Sources that decide what a run's numbers are; the rest plans, keeps, scores and shows."""
SAME_NUMBERS = ROOT / "benchmarks" / "same_numbers.toml"
NAMING = ("checks", "watch", "registry", "reading", "grammar", "loading", "spec", "names")
"""In baselines: how methods are found, named and examined, which changes no number."""
PACKAGES = (
    *("ivi-bench", "torch", "torchvision", "timm", "laplace-torch", "numpy"),
    *("datasets", "mlxtend", "scikit-image", "scikit-learn"),
)


@dataclass(frozen=True)
class Stack:
    """Code and packages, noted once, before the first process of a suite starts."""

    code: str
    commit: str | None
    dirty: bool | None
    packages: dict[str, str]

    @classmethod
    def now(cls) -> Stack:
        """What is on disk and installed at this moment."""
        head, dirty = _commit()
        packages = {name: found for name in PACKAGES if (found := version_of(name))}
        return cls(code_hash(), head, dirty, packages)


def code_hash() -> str:
    """SHA-256 of our own sources that decide numbers, or of older ones that were shown to give the same numbers.

    A method's own file is left out: its identity has that.
    """
    own = own_hash()
    return _same_numbers().get(own, own)


def own_hash() -> str:
    """The same of the sources as they are here, whatever older ones give."""
    own = {method.source.resolve() for method in known_methods().values() if method.name != "map"}
    naming = {path.resolve() for name in NAMING for path in (ROOT / "baselines").glob(f"{name}*/**/*.py")}
    naming |= {(ROOT / "baselines" / f"{name}.py").resolve() for name in NAMING}
    return sources_hash(DECIDING, own | naming)


@cache
def _same_numbers() -> dict[str, str]:
    """Hash of sources -> that of older ones that give the same numbers."""
    with SAME_NUMBERS.open("rb") as file:
        return {one["now"]: one["as"] for one in tomllib.load(file).get("code", [])}


def sources_hash(places: Iterable[str], without: Collection[Path] = ()) -> str:
    """SHA-256 of our own source files in ``places``, folders or files, with their names."""
    paths = (path for place in places for path in _sources(ROOT / place))
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.resolve() not in without):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def environment(stack: Stack, device_name: str, threads: int, capability: str, index: int | None) -> Environment:
    """The environment of a run that starts now."""
    return Environment(
        commit=stack.commit,
        dirty=stack.dirty,
        code=stack.code,
        packages=stack.packages,
        python=platform.python_version(),
        device_name=device_name or cpu_name(),
        device_index=index,
        cpu=cpu_name(),
        capability=capability,
        threads=threads,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def version_of(distribution: str) -> str | None:
    """Its installed version."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _sources(place: Path) -> list[Path]:
    return [place] if place.is_file() else list(place.rglob("*.py"))


@cache
def _commit() -> tuple[str | None, bool | None]:
    """Commit of the checkout, and whether its code was changed since; (None, None) outside of a checkout."""
    head = _git("rev-parse", "HEAD")
    if head is None or _git("ls-files", "--error-unmatch", "benchmarks/measure/environment.py") is None:
        return None, None
    code = [f":(glob){package}/**/*.{kind}" for package in OURS for kind in ("py", "toml")]
    strangers = ":(exclude)leaderboard/submissions"  # sources that are kept there, and never run from there
    return head, bool(_git("status", "--porcelain", "--", *code, "pyproject.toml", strangers))


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
