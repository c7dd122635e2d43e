"""From a source named in a spec to uint8 pixels and labels."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import logging
import struct
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.data.builtin import BUILTIN
from benchmarks.data.images import Images
from benchmarks.data.spec import Builtin, DataError, DataSpec, Hub, Idx, Local, Unreachable

if TYPE_CHECKING:
    from datasets import Dataset

AnySource = Builtin | Idx | Hub | Local

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
_MODULES = {"scikit-image": "skimage", "scikit-learn": "sklearn"}
_IDX_DTYPE_UINT8 = 0x08


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
    """Everything that the decoded pixels depend on, as text; names no network and reads no image."""
    parts = [source.model_dump_json(), json.dumps([spec.shape, spec.resize, spec.num_classes, spec.classes])]
    if isinstance(source, Idx | Local):
        for path in files_of(source, split):
            status = path.stat()
            parts.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def decode(source: AnySource, spec: DataSpec, split: str) -> Images:
    """Read one split of ``spec`` from ``source`` into memory.

    Raises:
        DataError: the source is not what the spec says, or cannot be reached.
    """
    if isinstance(source, Builtin):
        return _builtin(source, spec)
    if isinstance(source, Idx):
        return _idx(source, spec, split)
    from benchmarks.data.columns import to_images

    if isinstance(source, Hub):
        return to_images(open_hub(source, spec, split), source, spec, split)
    with tempfile.TemporaryDirectory() as scratch:  # the library's own copy of local files is not kept
        return to_images(open_local(source, spec, split, scratch), source, spec, split)


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


def open_hub(source: Hub, spec: DataSpec, split: str) -> Dataset:
    """The hub's table for ``split``, downloaded once and kept by the ``datasets`` library."""
    import datasets

    name = "corrupted" if source.corruption else split
    _silence("huggingface_hub", "datasets")
    try:
        return datasets.load_dataset(
            source.repo, source.config, split=source.splits.get(name, name), revision=source.revision
        )
    except Exception as error:  # the library raises whatever its own dependencies raise
        raise Unreachable(first_line(error)) from error


def open_local(source: Local, spec: DataSpec, split: str, cache_dir: str | None = None) -> Dataset:
    """The table of the local files of ``split``."""
    import datasets

    paths = files_of(source, split)
    if source.format == "imagefolder":
        stray = [path for path in paths if path.suffix.lower() not in IMAGE_SUFFIXES]
        if stray:
            raise DataError(f"{stray[0]} is not an image; an image folder holds only CLASS/IMAGE files")
        return _image_folder(paths)
    files = [str(path) for path in paths]
    _silence("datasets")
    bars = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()  # a download is worth one, a file on the disk is not
    try:
        table = datasets.load_dataset(source.format, data_files={"train": files}, split="train", cache_dir=cache_dir)
    except Exception as error:
        if "no data" in str(error):  # how the library puts it
            raise DataError(f"{spec.name}, split {split!r}: the split is empty: {describe(source)}") from error
        raise DataError(f"{spec.name}: {describe(source)} could not be read: {first_line(error)}") from error
    finally:
        if bars:
            datasets.enable_progress_bars()
    return table


def _silence(*libraries: str) -> None:
    """Each retry is a warning, each failure a logged error as well as raised: we say what failed, once."""
    for library in libraries:
        logging.getLogger(library).setLevel(logging.CRITICAL)


def _image_folder(paths: list[Path]) -> Dataset:
    """A table of image paths with the name of each one's folder as its class.

    Not by the library's own "imagefolder" builder: that one drops the labels in silence when it sees one class.
    """
    import datasets

    classes = sorted({path.parent.name for path in paths})
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=classes)})
    columns = {"image": [str(path) for path in paths], "label": [path.parent.name for path in paths]}
    return datasets.Dataset.from_dict(columns, features=features)


def first_line(error: BaseException) -> str:
    """An exception from elsewhere, shortened to one line."""
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text[:300]}"


def _builtin(source: Builtin, spec: DataSpec) -> Images:
    if source.function not in BUILTIN:
        raise DataError(f"{spec.name}: no built-in function {source.function!r}; there are {', '.join(BUILTIN)}")
    pixels, labels = BUILTIN[source.function]()
    classes = spec.classes or tuple(map(str, range(spec.num_classes)))
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels), classes)


def _idx(source: Idx, spec: DataSpec, split: str) -> Images:
    image_file, label_file = files_of(source, split)
    pixels, labels = _read_idx(image_file), _read_idx(label_file)
    if pixels.ndim != 3 or labels.shape != (len(pixels),):
        raise DataError(f"{image_file}: holds {pixels.shape}, its labels {labels.shape}; need [N, H, W] and [N]")
    if not len(labels):
        raise DataError(f"{spec.name}, split {split!r}: the split is empty: {image_file}")
    if labels.max() >= spec.num_classes:
        raise DataError(f"{label_file}: label {labels.max()} is outside the {spec.num_classes} classes of {spec.name}")
    return Images(torch.from_numpy(pixels)[:, None], torch.from_numpy(labels.astype(np.int64)), spec.classes)


def _read_idx(path: Path) -> np.ndarray:
    """One gzipped idx file of bytes, read straight into its array."""
    try:
        with gzip.open(path) as file:
            zeros, dtype, dimensions = struct.unpack(">HBB", file.read(4))
            if zeros or dtype != _IDX_DTYPE_UINT8:
                raise DataError(f"{path}: not an idx file of bytes")
            array = np.empty(struct.unpack(f">{dimensions}I", file.read(4 * dimensions)), dtype=np.uint8)
            view, done = array.reshape(-1).data, 0
            while done < array.size and (count := file.readinto(view[done:])):
                done += count
            more = file.read(1)  # which also compares the checksum at the end
    except (OSError, EOFError, struct.error, zlib.error, ValueError, MemoryError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: damaged: {first_line(error)}") from error
    if done < array.size:
        raise DataError(f"{path}: damaged: ends after {done:,} of {array.size:,} bytes")
    if more:
        raise DataError(f"{path}: damaged: goes on after the {array.size:,} bytes that it announces")
    return array
