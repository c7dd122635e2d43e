"""Records in a folder: kept whole or not at all, never overwritten; read with each bad file named and set aside.

A record is one JSON file, ``task/label/seed-runid.attempt.json``; beside it, under the same stem, lie its predictions
(``.safetensors``), what the method said (``.log``) and its scores (``.scores.json``, `leaderboard.scores`).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leaderboard.record import Record, RecordError
from leaderboard.shelf import LOG, PREDICTIONS, SCORES, Finding, Shelf, beside, latest, read, read_all

__all__ = [
    "LOG",
    "PREDICTIONS",
    "SCORES",
    "Finding",
    "Shelf",
    "beside",
    "keep",
    "latest",
    "path_of",
    "read",
    "read_all",
]
__all__ += ["read_all", "slug", "write_once", "writing"]

_OURS = re.compile(r"\.[^/]+\.ivi-\d+\.tmp")
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK}


def slug(label: str) -> str:
    """``label`` as the name of a folder."""
    return "".join(c if c.isalnum() or c in "-_=.," else "_" for c in label)[:120]


def path_of(folder: Path, record: Record) -> Path:
    """Where ``record`` belongs below ``folder``: ``task/label/seed-runid.attempt.json``."""
    identity = record.identity
    name = f"{identity.seed}-{record.run_id}.{record.attempt}.json"
    return folder / identity.task.name / slug(record.label) / name


def keep(folder: Path, record: Record, predictions: bytes | None, log: str = "") -> Path:
    """Keep ``record`` and what goes with it below ``folder``: whole or not at all.

    The record is written last, so that one that is there has its predictions.

    Args:
        folder: held by `writing`.
        record: with the SHA-256 of ``predictions``.
        predictions: the bytes of the predictions file; None for a run that is not ok.
        log: what the method printed; nothing is written for an empty one.

    Raises:
        FileExistsError: there is such a record already; everything is left as it is.
        RecordError: the folder cannot be written to (a full disk, say): no fault of the method.
        ValueError: ``predictions`` are not those that the record names.
    """
    named = record.predictions.sha256 if record.predictions else None
    given = None if predictions is None else hashlib.sha256(predictions).hexdigest()
    if named != given:
        raise ValueError(f"the predictions have SHA-256 {given}, the record names {named}")
    path = path_of(folder, record)
    parts = [(beside(path, PREDICTIONS), predictions), (beside(path, LOG), log.encode(errors="backslashreplace"))]
    if path.exists():
        raise FileExistsError(errno.EEXIST, "there is such a record already", str(path))
    written: list[Path] = []
    try:
        for file, data in parts:
            if data:  # a file that lies there without a record was left by a process that was killed here
                write_once(file, data, replace=True)
                written.append(file)
        write_once(path, record.model_dump_json(indent=1).encode() + b"\n")
    except BaseException as error:
        for file in written:
            file.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, FileExistsError):
            reason = error.strerror or str(error)
            raise RecordError(f"{path}: cannot be written: {reason}; make room, or choose another folder") from None
        raise
    return path


def write_once(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Write a file so that nobody ever sees half of it; an existing one is an error unless ``replace``.

    Raises:
        FileExistsError: it is there already.
        OSError: it cannot be written; nothing is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:200]}.ivi-{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            _place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _place(temporary: Path, path: Path) -> None:
    """Give a written file its name. A link fails where a rename would overwrite, but exFAT and many FUSE mounts have
    none: there the file is looked for first, which is enough for the one process that `writing` lets in."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, "there is such a file already", str(path)) from None
        temporary.rename(path)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the only process that writes to ``folder``; clear away what a killed one left half-written.

    Raises:
        RecordError: it cannot be written to, or another process is writing there.
    """
    from filelock import FileLock, SoftFileLock, Timeout

    lock = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with warnings.catch_warnings(action="ignore"):  # where flock is unknown, it says that it becomes a file
                held = FileLock(lock, timeout=0).acquire()
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            held = SoftFileLock(folder / ".lock.soft", timeout=0).acquire()  # a file system without flock
    except Timeout as error:
        # Without flock the file may outlive who made it: a driver killed on another machine, or one that had flock.
        what = f"wait for it, or use --out; if none runs on any machine, remove {error.lock_file}"
        raise RecordError(f"another 'ivi run' is writing to {folder}: {what}") from None
    except OSError as error:
        raise RecordError(f"cannot write to {folder}: {error.strerror}; choose another folder with --out") from None
    with held:
        _clear(folder)
        yield


def _clear(folder: Path) -> None:
    """Remove temporary files that `write_once` alone names so, where it writes them."""
    for inner in (folder, *folder.glob("*/"), *folder.glob("*/*/")):
        if not inner.is_dir() or inner.is_symlink():
            continue
        for file in inner.iterdir():
            if _OURS.fullmatch(file.name) and file.is_file() and not file.is_symlink():
                file.unlink(missing_ok=True)
