"""Tables of the `datasets` library: from the hub, or from files on this machine."""

from __future__ import annotations

import glob
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.data.sources.files import class_folders, describe, files_of, first_line
from benchmarks.data.spec import DataError, DataSpec, Hub, Local, Unreachable

if TYPE_CHECKING:
    from datasets import Dataset

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


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
    for path in paths:
        if not _is_utf8(path):
            raise DataError(f"{path}: this name is not UTF-8: rename it")
    if source.format == "imagefolder":
        stray = [path for path in paths if path.suffix.lower() not in IMAGE_SUFFIXES]
        if stray:
            raise DataError(f"{stray[0]} is not an image; an image folder holds only CLASS/IMAGE files")
        return _image_folder(paths, spec.classes or class_folders(source, spec))
    files = [glob.escape(str(path)) for path in paths]  # the library takes every path for a pattern
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


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _image_folder(paths: list[Path], names: tuple[str, ...]) -> Dataset:
    """A table of image paths with the name of each one's folder as its class.

    Not by the library's own "imagefolder" builder: that one drops the labels in silence when it sees one class.
    """
    import datasets

    classes = [*names, *sorted({path.parent.name for path in paths} - set(names))]  # the strange ones: to be refused
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=classes)})
    columns = {"image": [str(path) for path in paths], "label": [path.parent.name for path in paths]}
    return datasets.Dataset.from_dict(columns, features=features)
