"""Which files, packages or tables a split would be read from on this machine. Reads none, imports no torch."""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.data.schema import CORRUPTIONS, SEVERITIES, check_case, printable
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
        if source.package is not None:
            return f"package {source.package} is not installed: pip install {source.package}"
        return f"{source.path} is not there"
    return None


def describe(source: AnySource) -> str:
    """The source in a few words, for tables and messages."""
    if isinstance(source, Builtin):
        return f"inside package {source.package}"
    if isinstance(source, Idx):
        return str(source.folder)
    if isinstance(source, Local):
        place = f"package {source.package}" if source.package is not None else printable(str(source.path))
        return f"{source.format} in {place}"
    return f"hub {source.repo}@{source.revision[:7]}"


def identity(source: AnySource, spec: DataSpec, split: str) -> str:
    """Everything that the decoded examples depend on, as text; names no network and reads no file."""
    parts = [source.model_dump_json(), json.dumps(spec.decoding)]
    if isinstance(source, Idx | Local):
        for path in files_of(source, split):
            status = path.stat()
            parts.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    if isinstance(source, Local) and source.format == "imagefolder" and not spec.classes:
        parts.append(json.dumps(class_folders(source, spec)))
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()


def files_of(source: Idx | Local, split: str) -> list[Path]:
    """The files that ``split`` is read from, sorted.

    Of files on this machine: the one, the folder, or the files of the pattern that the source's ``splits`` names; else
    the folder SPLIT, or (but for image folders) all files SPLIT* of the format, however deep.

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
    if source.path.is_file():
        return [source.path]
    left_out = {source.path / name for name in source.leave_out}
    return [path for path in _local_files(source, split) if path not in left_out]


def _local_files(source: Local, split: str) -> list[Path]:
    name = "corrupted" if source.corruption else split
    pattern = source.splits.get(name)
    if pattern is not None and not (source.path / pattern).exists():
        found = _matching(source.path, pattern)
    elif (place := source.path / (pattern or name)).is_dir():
        found = [path for path in below(place) if _is_of(path, source.format)]
    elif pattern is not None:
        found = [place]
    else:  # the layout of a copy of one's own
        start = "" if name == "corrupted" else name
        files = below(source.path) if source.format != "imagefolder" else []
        found = [path for path in files if path.name.startswith(start) and _is_of(path, source.format)]
    if not found:
        saved = (source.path / "dataset_info.json").is_file()
        hint = ": save_to_disk made this folder; name its files in the spec, as *.arrow" if saved else ""
        raise Unreachable(f"{source.path / (pattern or name)}: no files there, so split {split!r} would be empty{hint}")
    return sorted(found)


def _matching(folder: Path, pattern: str) -> list[Path]:
    if not pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise DataError(f"{pattern!r} is no pattern of files in {folder}")
    within = set(below(folder))
    named = glob.iglob(pattern, root_dir=folder, recursive=True)  # unlike Path.glob it follows linked folders
    return [path for path in {folder / name for name in named} if path in within]


def _is_of(path: Path, kind: str) -> bool:
    return kind == "imagefolder" or path.suffix.lower() == f".{kind}"


def below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Every file below ``folder`` but hidden ones, through links to folders too, but not round in circles."""
    real = folder.resolve()
    if real in above:
        return
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from below(entry, (*above, real))
        elif entry.is_file():
            yield entry


def class_folders(source: Local, spec: DataSpec) -> tuple[str, ...]:
    """Names of the class folders of *all* splits, sorted: a split that lacks a class numbers the others as all do.

    Raises:
        DataError: only case tells two of them apart.
    """
    corrupted = [f"{name}/{level}" for name in CORRUPTIONS for level in SEVERITIES]
    found: set[str] = set()
    for split in corrupted if "corrupted" in spec.splits else spec.splits:
        try:
            found |= {path.parent.name for path in files_of(source, split)}
        except Unreachable:
            continue
    try:
        check_case(tuple(sorted(found)))
    except ValueError as error:
        raise DataError(f"{source.path}: {error}") from error
    return tuple(sorted(found))


def first_line(error: BaseException) -> str:
    """An exception from elsewhere, shortened to one line."""
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text[:300]}"
