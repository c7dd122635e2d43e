"""Which files, packages or tables a split would be read from on this machine. Reads none, imports no torch."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

from benchmarks.data.spec import Builtin, DataError, DataSpec, Hub, Idx, Local, Unreachable

AnySource = Builtin | Idx | Hub | Local

_MODULES = {"scikit-image": "skimage", "scikit-learn": "sklearn"}


def missing(source: AnySource) -> str | None:
    """Why ``source`` cannot be used on this machine and what to type to get it; None if it is here, or may be (hub)."""
    if isinstance(source, Builtin):
        gone = importlib.util.find_spec(_MODULES.get(source.package, source.package)) is None
        return f"package {source.package} is not installed: pip install {source.package}" if gone else None
    if isinstance(source, Idx):
        return None if source.folder.is_dir() else f"{source.folder} is not there: {source.install}"
    if importlib.util.find_spec("datasets") is None:
        return "package datasets is not installed: pip install 'ivi-bench[run]'"
    if isinstance(source, Local) and not source.path.exists():
        return f"{source.path} is not there"
    return None


def describe(source: AnySource) -> str:
    """The source in a few words, for tables and messages."""
    if isinstance(source, Builtin):
        return f"inside package {source.package}"
    if isinstance(source, Idx):
        return str(source.folder)
    if isinstance(source, Local):
        return f"{source.format} in {source.path}"
    return f"hub {source.repo}@{source.revision[:7]}"


def identity(source: AnySource, spec: DataSpec, split: str) -> str:
    """Everything that the decoded examples depend on, as text; names no network and reads no file."""
    parts = [source.model_dump_json(), json.dumps(spec.decoding)]
    if isinstance(source, Idx | Local):
        for path in files_of(source, split):
            status = path.stat()
            parts.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def files_of(source: Idx | Local, split: str) -> list[Path]:
    """The files that ``split`` is read from, sorted.

    Raises:
        Unreachable: there are none.
        DataError: the spec names none.
    """
    if isinstance(source, Idx):
        if split not in source.files:
            raise DataError(f"{source.folder} holds no split {split!r}; the spec lists {', '.join(source.files)}")
        found = [source.folder / name for name in source.files[split]]
        absent = [path for path in found if not path.is_file()]
        if absent:
            raise Unreachable(f"{absent[0]} is not there: {source.install}")
        return found
    name = "corrupted" if source.corruption else split
    pattern = source.splits.get(name, name)
    if source.path.is_file():
        return [source.path]
    if (source.path / pattern).is_dir():
        pattern = f"{pattern}/**/*"
    try:
        found = sorted(path for path in source.path.glob(pattern) if path.is_file() and not path.name.startswith("."))
    except (NotImplementedError, ValueError) as error:
        raise DataError(f"{pattern!r} is no pattern of files in {source.path}: {first_line(error)}") from error
    if not found:
        raise Unreachable(f"{source.path / pattern}: no files there, so split {split!r} would be empty")
    return found


def first_line(error: BaseException) -> str:
    """An exception from elsewhere, shortened to one line."""
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text[:300]}"
