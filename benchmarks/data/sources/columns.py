"""From a table of the ``datasets`` library to uint8 pixels and labels: find the columns, decode, check."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.data.images import Images
from benchmarks.data.sources.builtin import BUILTIN
from benchmarks.data.sources.files import AnySource
from benchmarks.data.sources.idx import read_idx
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
    if isinstance(source, Local) and source.format == "imagefolder":
        _check_folders(table.features[label_column].names, spec, where)
    labels, classes = read_labels(table, label_column, spec, where)
    kind = _kind(table, image_column)
    table = table.select_columns([image_column])
    if image_column != "image":
        table = table.rename_column(image_column, "image")
    try:
        return table.cast_column("image", ImageFeature(decode=False)), labels, classes
    except Exception as error:  # the library raises whatever its own dependencies raise
        raise DataError(f"{where}: column {image_column!r} holds {kind}, not images") from error


def _check_folders(folders: list[str], spec: ImageSpec, where: str) -> None:
    """Folders are numbered in alphabetical order, so names that are not the spec's could mean any class."""
    strange = sorted(set(folders) - set(spec.classes))
    if spec.classes and strange:
        raise DataError(f"{where}: folder {strange[0]!r} is none of the classes {', '.join(spec.classes)}")


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


def read_labels(table: Dataset, column: str, spec: ImageSpec, where: str) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Labels ([N] int64) in the order of the spec's classes, and the names of the classes."""
    feature: Any = table.features[column]
    names: tuple[str, ...] = tuple(getattr(feature, "names", None) or ())
    raw: Any = _label_column(table, column, where)
    if raw.dtype.kind == "U":  # class names as text
        names, raw = spec.classes or tuple(sorted(set(raw.tolist()))), raw.tolist()
        position = {name: index for index, name in enumerate(names)}
        unknown = next((name for name in raw if name not in position), None)
        if unknown is not None:
            raise DataError(f"{where}: label {unknown!r} is outside the classes {', '.join(names)}")
        raw = np.array([position[name] for name in raw])
    elif spec.classes and names and set(names) <= set(spec.classes):
        # A label outside the names stays as it is, for the check below to find.
        renumbered = np.array([spec.classes.index(name) for name in names])
        inside = (raw >= 0) & (raw < len(names))
        raw = np.where(inside, renumbered[np.where(inside, raw, 0)], np.where(raw < 0, raw, spec.num_classes))
    elif names and len(names) != spec.num_classes:
        raise DataError(f"{where}: {len(names)} classes ({', '.join(names[:5])}...), the spec has {spec.num_classes}")
    labels = raw.astype(np.int64)
    outside = np.flatnonzero((labels < 0) | (labels >= spec.num_classes))
    if outside.size:
        row = int(outside[0])
        raise DataError(f"{where}: row {row} has label {labels[row]}, outside the classes 0 to {spec.num_classes - 1}")
    return torch.from_numpy(labels), spec.classes or names or tuple(map(str, range(spec.num_classes)))


def _label_column(table: Dataset, column: str, where: str) -> np.ndarray:
    """One label a row, [N], as whole numbers or as text."""
    kind = _kind(table, column)
    if not kind.startswith(("ClassLabel", "int", "uint", "bool", "string", "large_string")):
        raise DataError(f"{where}: column {column!r} holds {kind}, not one label a row (a whole number or a name)")
    cells = table[column][:]
    absent = next((row for row, cell in enumerate(cells) if cell is None), None)
    if absent is not None:
        raise DataError(f"{where}: row {absent} has no label in column {column!r}")
    return np.asarray(cells)


def _kind(table: Dataset, column: str) -> str:
    """What a column holds, in one word."""
    from datasets import Value

    feature: Any = table.features[column]
    return feature.dtype if isinstance(feature, Value) else type(feature).__name__
