"""Labels of a table as numbers: by the names of the classes, the same in every split, or refused."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.data.sources.files import files_of
from benchmarks.data.spec import DataError, Hub, ImageSpec, Local, Unreachable
from benchmarks.data.tables import is_whole

if TYPE_CHECKING:
    from datasets import Dataset


def read_labels(
    table: Dataset, column: str, source: Hub | Local, spec: ImageSpec, split: str
) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Labels ([N] int64) in the order of the spec's classes, and the names of the classes.

    Raises:
        DataError: a label is absent or outside the classes; or what number a name has cannot be told.
    """
    where = f"{spec.name}, split {split!r}"
    feature: Any = table.features[column]
    names: tuple[str, ...] = tuple(getattr(feature, "names", None) or ())
    raw: Any = _label_column(table, column, where)
    if raw.dtype.kind == "U":
        names, raw = spec.classes, _numbered(raw.tolist(), spec, where)
    elif names:
        raw = _in_order(raw, names, source, spec, split)
    elif spec.classes and all(map(is_whole, spec.classes)):
        raw = _numbered([str(int(label)) for label in raw], spec, where)
    labels = raw.astype(np.int64)
    outside = np.flatnonzero((labels < 0) | (labels >= spec.num_classes))
    if outside.size:
        row = int(outside[0])
        raise DataError(f"{where}: row {row} has label {labels[row]}, outside the classes 0 to {spec.num_classes - 1}")
    return torch.from_numpy(labels), spec.classes or names or tuple(map(str, range(spec.num_classes)))


def _numbered(names: list[str], spec: ImageSpec, where: str) -> np.ndarray:
    """Labels that are text as numbers, [N]."""
    empty = next((row for row, name in enumerate(names) if not name.strip()), None)
    if empty is not None:
        raise DataError(f"{where}: row {empty} has an empty label")
    if not spec.classes:  # this split alone would number them otherwise than one that lacks a class
        found = sorted(set(names))[:30]
        raise DataError(f"{where}: labels are names: say in the spec in which order, as in classes = {found}")
    position = {name: index for index, name in enumerate(spec.classes)}
    unknown = next((name for name in names if name not in position), None)
    if unknown is not None:
        raise DataError(f"{where}: label {unknown!r} is outside the classes {', '.join(spec.classes)}")
    return np.array([position[name] for name in names])


def _in_order(raw: np.ndarray, names: tuple[str, ...], source: Hub | Local, spec: ImageSpec, split: str) -> np.ndarray:
    """Numbers of a table's own classes, [N], as numbers of the spec's."""
    where = f"{spec.name}, split {split!r}"
    if spec.classes and set(names) <= set(spec.classes):
        # A label outside the names stays as it is, for the check that follows to find.
        renumbered = np.array([spec.classes.index(name) for name in names])
        inside = (raw >= 0) & (raw < len(names))
        return np.where(inside, renumbered[np.where(inside, raw, 0)], np.where(raw < 0, raw, spec.num_classes))
    folders = isinstance(source, Local) and source.format == "imagefolder"
    if spec.classes and (folders or not _same_words(names, spec.classes, source)):
        strange = next(name for name in names if name not in spec.classes)
        what = "folder" if folders else "class"
        raise DataError(f"{where}: {what} {strange!r} is none of the classes {', '.join(spec.classes)}")
    if len(names) != spec.num_classes:
        raise DataError(f"{where}: {len(names)} classes ({', '.join(names[:5])}...), the spec has {spec.num_classes}")
    if not spec.classes and isinstance(source, Local) and source.format == "parquet":
        _compare_splits(names, source, spec, split)
    return raw


def _same_words(names: tuple[str, ...], classes: tuple[str, ...], source: Hub | Local) -> bool:
    """Whether the classes have the spec's order under another spelling: spaces and signs; on the hub any other words.

    Words that differ in case only, or stand in another order, are never taken for each other.
    """
    plain = [[re.sub(r"\W|_", "", name) for name in group] for group in (names, classes)]
    if plain[0] == plain[1] and len(set(plain[0])) == len(names):
        return True
    lower = [{name.casefold() for name in group} for group in plain]
    return isinstance(source, Hub) and not lower[0] & lower[1]


def _compare_splits(names: tuple[str, ...], source: Local, spec: ImageSpec, split: str) -> None:
    """Refuse splits whose files number their classes differently."""
    for other in spec.splits:
        try:
            path = files_of(source, other)[0]
        except Unreachable:
            continue
        theirs = _names_in(path)
        if theirs and theirs != names:
            raise DataError(
                f"{spec.name}: split {split!r} has the classes {', '.join(names[:5])}, split {other!r} "
                f"{', '.join(theirs[:5])}: name them in the spec: classes = [...]"
            )


def _names_in(path: Any) -> tuple[str, ...]:
    """The class names that a parquet file states for its one column of classes; none if it states none."""
    import pyarrow.parquet as parquet

    try:
        stated = json.loads((parquet.read_schema(path).metadata or {}).get(b"huggingface", b"{}"))
        features = stated.get("info", {}).get("features", {}).values()
    except (OSError, ValueError, AttributeError):
        return ()  # reading that split says what is wrong with it
    named = [feature["names"] for feature in features if isinstance(feature, dict) and feature.get("names")]
    return tuple(named[0]) if len(named) == 1 else ()


def _label_column(table: Dataset, column: str, where: str) -> np.ndarray:
    """One label a row, [N], as whole numbers or as text."""
    kind = kind_of(table, column)
    if not kind.startswith(("ClassLabel", "int", "uint", "bool", "string", "large_string")):
        raise DataError(f"{where}: column {column!r} holds {kind}, not one label a row (a whole number or a name)")
    cells = table[column][:]
    absent = next((row for row, cell in enumerate(cells) if cell is None), None)
    if absent is not None:
        raise DataError(f"{where}: row {absent} has no label in column {column!r}")
    return np.asarray(cells)


def kind_of(table: Dataset, column: str) -> str:
    """What a column holds, in one word."""
    from datasets import Value

    feature: Any = table.features[column]
    return feature.dtype if isinstance(feature, Value) else type(feature).__name__
