"""Gzipped idx files, as MNIST was published."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import torch

from benchmarks.data.images import Images
from benchmarks.data.sources.files import files_of, first_line
from benchmarks.data.spec import DataError, Idx, ImageSpec

_IDX_DTYPE_UINT8 = 0x08


def read_idx(source: Idx, spec: ImageSpec, split: str) -> Images:
    """Images and labels of one split.

    Raises:
        DataError: the files are not there, damaged, or not what the spec says.
    """
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
