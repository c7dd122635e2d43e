"""Decoded images on disk: one safetensors file a split, memory-mapped, written once, never trusted unread."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from benchmarks.data.images import Images
from benchmarks.data.spec import DataError

log = logging.getLogger(__name__)

# Part of every key: raise it when decoding changes, and old entries are left aside.
FORMAT = 1


def cache_folder() -> Path:
    """Where decoded images are kept: $IVI_CACHE, else ``ivi`` in the user's cache folder of this platform."""
    if "IVI_CACHE" in os.environ:
        return Path(os.environ["IVI_CACHE"])
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ivi"


def cached(name: str, split: str, identity: str, decode: Callable[[], Images]) -> Images:
    """The images that ``decode`` gives, from the cache where they are there.

    Many processes may ask at once: one decodes, the others wait and read. An entry that is damaged (its content
    is not what was written) is decoded again.

    Args:
        name, split: for the file's name; together with ``identity`` (source, revision, preprocessing) the key.
        identity: everything that the pixels depend on, as text.
        decode: called at most once.

    Raises:
        DataError: the cache cannot be written to.
    """
    path = entry_path(name, split, identity)
    images = _read(path, quiet=True)
    if images is None:
        lock = FileLock(path.with_suffix(".lock"))
        with _writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            images = _read(path)
            if images is None:
                images = _made(path, decode)
        finally:
            lock.release()
    if images is None:
        raise OSError(f"{path} cannot be read back after writing it")
    return images


def _made(path: Path, decode: Callable[[], Images]) -> Images | None:
    fresh = decode()
    with _writable(path):
        _write(path, fresh)
    log.info("decoded into %s", path)
    del fresh  # or a large set would be in memory twice
    return _read(path)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"decoded images cannot be kept in {path.parent}: {error}; set IVI_CACHE to a folder that can be written to"
        ) from error


def entry_path(name: str, split: str, identity: str) -> Path:
    """The file in which `cached` keeps these images."""
    digest = hashlib.sha256(f"{FORMAT}\n{split}\n{identity}".encode()).hexdigest()[:16]
    return cache_folder() / name / f"{split.replace('/', '-')}-{digest}.safetensors"


def _write(path: Path, images: Images) -> None:
    tensors = {"pixels": images.pixels.contiguous()}
    if images.labels is not None:
        tensors["labels"] = images.labels.contiguous()
    metadata = {"classes": "\n".join(images.classes), "seal": _seal(images)}
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        save_file(tensors, temporary, metadata=metadata)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path, quiet: bool = False) -> Images | None:
    """The entry at ``path``, or None if there is none or it is damaged."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            pixels = file.get_tensor("pixels")
            labels = file.get_tensor("labels") if "labels" in file.keys() else None  # noqa: SIM118 - not a mapping
        images = Images(pixels, labels, tuple(filter(None, metadata["classes"].split("\n"))))
        if pixels.dtype == torch.uint8 and _seal(images) == metadata["seal"]:
            return images
    except (SafetensorError, KeyError, TypeError, OSError) as error:
        fault = str(error)
    else:
        fault = "its content is not what was written"
    if not quiet:
        log.warning("%s is damaged (%s) and will be decoded again", path, fault)
    return None


def _seal(images: Images) -> str:
    """Covers what the fingerprint does, and the names of the classes."""
    return hashlib.sha256("\n".join([images.fingerprint, *images.classes]).encode()).hexdigest()
