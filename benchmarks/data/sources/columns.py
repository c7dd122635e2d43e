"""From a table of the ``datasets`` library to uint8 pixels and labels: find the columns, decode, check."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.data.images import Images
from benchmarks.data.sources.builtin import BUILTIN
from benchmarks.data.sources.files import AnySource
from benchmarks.data.sources.idx import read_idx
from benchmarks.data.sources.labels import kind_of, read_labels
from benchmarks.data.sources.library import open_hub, open_local
from benchmarks.data.sources.pictures import as_shape, open_picture
from benchmarks.data.spec import Builtin, DataError, Hub, Idx, ImageSpec, Local

if TYPE_CHECKING:
    from datasets import Dataset

_BATCH = 256


def decode_images(source: AnySource, spec: ImageSpec, split: str) -> Images:
    """Read one split of ``spec`` from ``source`` into memory.

    Raises:
        DataError: the source is not what the spec says, or cannot be reached.
    """
    if isinstance(source, Builtin):
        return _builtin(source, spec)
    if isinstance(source, Idx):
        return read_idx(source, spec, split)
    if isinstance(source, Hub):
        return to_images(open_hub(source, spec, split), source, spec, split)
    with tempfile.TemporaryDirectory() as scratch:  # the library's own copy of local files is not kept
        return to_images(open_local(source, spec, split, scratch), source, spec, split)


def _builtin(source: Builtin, spec: ImageSpec) -> Images:
    if source.function not in BUILTIN:
        raise DataError(f"{spec.name}: no built-in function {source.function!r}; there are {', '.join(BUILTIN)}")
    pixels, labels = BUILTIN[source.function]()
    classes = spec.classes or tuple(map(str, range(spec.num_classes)))
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels), classes)


def to_images(table: Dataset, source: Hub | Local, spec: ImageSpec, split: str) -> Images:
    """Decode a whole table.

    Raises:
        DataError: a column is not there, an image cannot be decoded or has another shape, a label is outside the
            classes, or there is no row.
    """
    where = f"{spec.name}, split {split!r}"
    table, labels, classes = encoded(table, source, spec, split)
    channels, height, width = spec.shape
    pixels = np.empty((len(table), channels, height, width), dtype=np.uint8)
    row = 0
    for batch in table.iter(_BATCH):
        for cell in batch["image"]:  # pyright: ignore[reportArgumentType, reportCallIssue] - a dict without a format
            pixels[row] = as_shape(open_picture(cell, spec, f"{where}, image {row}"), spec, f"{where}, image {row}")
            row += 1
    return Images(torch.from_numpy(pixels), labels, classes)


def encoded(
    table: Dataset, source: Hub | Local, spec: ImageSpec, split: str
) -> tuple[Dataset, torch.Tensor, tuple[str, ...]]:
    """The rows of ``split`` as one column "image" of undecoded images, their labels ([N] int64), the classes' names.

    Raises:
        DataError: as `to_images`, but for the images themselves.
    """
    from datasets import Image as ImageFeature

    where = f"{spec.name}, split {split!r}"
    image_column, label_column = find_columns(table, source, where)
    table = select_corruption(table, source, split, where)
    if len(table) == 0:
        raise DataError(f"{where}: the split is empty")
    labels, classes = read_labels(table, label_column, source, spec, split)
    kind = kind_of(table, image_column)
    table = table.select_columns([image_column])
    if image_column != "image":
        table = table.rename_column(image_column, "image")
    try:
        return table.cast_column("image", ImageFeature(decode=False)), labels, classes
    except Exception as error:  # the library raises whatever its own dependencies raise
        raise DataError(f"{where}: column {image_column!r} holds {kind}, not images") from error


def find_columns(table: Dataset, source: Hub | Local, where: str) -> tuple[str, str]:
    """Names of the image and the label column: those that ``source`` names, else by their features."""
    from datasets import ClassLabel
    from datasets import Image as ImageFeature

    image = _pick(table, source.image, ImageFeature, "image", where)
    return image, _pick(table, source.label, ClassLabel, "label", where)


def _pick(table: Dataset, wanted: str | None, feature: type, usual: str, where: str) -> str:
    columns = table.column_names
    if wanted is not None:
        if wanted not in columns:
            raise DataError(f"{where}: no column {wanted!r}; there are {', '.join(columns)}")
        return wanted
    found = [name for name, kind in table.features.items() if isinstance(kind, feature)]
    if len(found) != 1 and usual in columns:
        return usual
    if len(found) != 1:
        raise DataError(
            f"{where}: cannot tell which column is the {usual}: name one of {', '.join(found or columns)} in the spec"
        )
    return found[0]


def select_corruption(table: Dataset, source: Hub | Local, split: str, where: str) -> Dataset:
    """The rows of a corrupted set that belong to ``split`` ("fog/3"); every row of any other set."""
    if source.corruption is None or source.severity is None:
        return table
    for column in (source.corruption, source.severity):
        if column not in table.column_names:
            raise DataError(f"{where}: no column {column!r}; there are {', '.join(table.column_names)}")
    corruption, _, severity = split.partition("/")
    names, levels = np.asarray(table[source.corruption][:]), np.asarray(table[source.severity][:])
    return table.select(np.flatnonzero((names == corruption) & (levels.astype(int) == int(severity))))
