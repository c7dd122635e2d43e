"""Decoded examples on disk: one safetensors file a split, memory-mapped, written once, never trusted unread."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from benchmarks.data.examples import Examples
from benchmarks.data.spec import DataError
from benchmarks.machine import cache_folder

log = logging.getLogger(__name__)

# Part of every key: raise it when decoding changes, and old entries are left aside.
FORMAT = 2

E = TypeVar("E", bound=Examples)


def cached(name: str, split: str, identity: str, decode: Callable[[], E], cls: type[E]) -> E:
    """The examples that ``decode`` gives, from the cache where they are there.

    Many processes may ask at once: one decodes, the others wait and read. An entry that is damaged (its content
    is not what was written) is decoded again.

    Args:
        name, split: for the file's name; together with ``identity`` (source, revision, preprocessing) the key.
        identity: everything that the examples depend on, as text.
        decode: called at most once.
        cls: what it gives.

    Raises:
        DataError: the cache cannot be written to.
    """
    path = entry_path(name, split, identity)
    examples = _read(path, cls, quiet=True)
    if examples is None:
        lock = FileLock(path.with_suffix(".lock"))
        with _writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            examples = _read(path, cls)
            if examples is None:
                examples = _made(path, decode, cls)
        finally:
            lock.release()
    if examples is None:
        raise OSError(f"{path} cannot be read back after writing it")
    return examples


def _made(path: Path, decode: Callable[[], E], cls: type[E]) -> E | None:
    fresh = decode()
    with _writable(path):
        _write(path, fresh)
    log.info("decoded into %s", path)
    del fresh  # or a large set would be in memory twice
    return _read(path, cls)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"decoded data cannot be kept in {path.parent}: {error}; set IVI_CACHE to a folder that can be written to"
        ) from error


def entry_path(name: str, split: str, identity: str) -> Path:
    """The file in which `cached` keeps these examples."""
    digest = hashlib.sha256(f"{FORMAT}\n{split}\n{identity}".encode()).hexdigest()[:16]
    return cache_folder() / name / f"{split.replace('/', '-')}-{digest}.safetensors"


def _write(path: Path, examples: Examples) -> None:
    tensors = {"inputs": examples.inputs.contiguous()}
    if examples.labels is not None:
        tensors["labels"] = examples.labels.contiguous()
    metadata = {"classes": json.dumps(examples.classes), "seal": _seal(examples)}
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        save_file(tensors, temporary, metadata=metadata)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path, cls: type[E], quiet: bool = False) -> E | None:
    """The entry at ``path``, or None if there is none or it is damaged."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            inputs = file.get_tensor("inputs")
            labels = file.get_tensor("labels") if "labels" in file.keys() else None  # noqa: SIM118 - not a mapping
        examples = cls(inputs, labels, tuple(json.loads(metadata["classes"])))
        if _seal(examples) == metadata["seal"]:
            return examples
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        fault = str(error)
    else:
        fault = "its content is not what was written"
    if not quiet:
        log.warning("%s is damaged (%s) and will be decoded again", path, fault)
    return None


def _seal(examples: Examples) -> str:
    """Covers what the fingerprint does, and the names of the classes."""
    return hashlib.sha256("\n".join([examples.fingerprint, *examples.classes]).encode()).hexdigest()
