"""Tables in memory: rows of numbers, and a class or a real number to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.data.examples import Affine, Examples
from benchmarks.data.spec import DataError, TableSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Rows(Examples):
    """One split of a table, on the CPU: ``inputs`` are features, [N, D] float32, in their own units."""

    def affine(self, spec: TableSpec) -> Affine:
        """Features, and a real target, less their mean over their deviation: taken from these rows, in float64.

        Raises:
            DataError: a feature, or the real target, is the same in every row.
        """
        features = self.inputs.double()
        mean, std = features.mean(0), features.std(0, correction=0)
        _refuse_constant(features, spec.features, spec.name)
        scale, shift = (1 / std).float(), (-mean / std).float()
        if spec.likelihood == "categorical" or self.labels is None:
            return Affine(scale, shift)
        target = self.labels.double()
        _refuse_constant(target[:, None], (spec.target,), spec.name)
        return Affine(scale, shift, float(target.mean()), float(target.std(correction=0)))


def _refuse_constant(columns: torch.Tensor, names: tuple[str, ...], where: str) -> None:
    same = (columns == columns[0]).all(0).nonzero().flatten().tolist()
    if same:
        raise DataError(
            f"{where}: column {names[same[0]]!r} is {float(columns[0, same[0]]):g} in each of the {len(columns):,} "
            "training rows, so it cannot be standardized: leave it out"
        )


def to_rows(frame: pd.DataFrame, spec: TableSpec, split: str) -> Rows:
    """The columns that ``spec`` names, checked cell by cell.

    Raises:
        DataError: a column is not there or there twice, or a cell is no finite number, or no class; or there is no row.
    """
    where = f"{spec.name}, split {split!r}"
    if not len(frame):
        raise DataError(f"{where}: the split is empty")
    features = features_of(frame, spec, where)
    _require(frame, (spec.target,), where)
    if spec.likelihood == "gaussian":
        labels = torch.from_numpy(_numbers(_column(frame, spec.target), where))
    else:
        labels = torch.from_numpy(_classes(_column(frame, spec.target), spec, where))
    return Rows(torch.from_numpy(features), labels, spec.classes)


def features_of(frame: pd.DataFrame, spec: TableSpec, where: str) -> np.ndarray:
    """The inputs alone, [N, D] float32; ``where`` is said of what is wrong.

    Raises:
        DataError: as `to_rows`.
    """
    _require(frame, spec.features, where)
    features = np.empty((len(frame), len(spec.features)), dtype=np.float32)
    for place, name in enumerate(spec.features):
        features[:, place] = _numbers(_column(frame, name), where)
    return features


def _require(frame: pd.DataFrame, names: tuple[str, ...], where: str) -> None:
    for name in names:
        if list(frame.columns).count(name) != 1:
            have = ", ".join(map(str, frame.columns[:30]))
            what = "is there twice" if name in frame.columns else "is not there"
            raise DataError(f"{where}: column {name!r} {what}; there are {have}")


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    column: Any = frame[name]
    return column


def _numbers(column: pd.Series, where: str) -> np.ndarray:
    """One column as float32, [N]."""
    import pandas as pd

    values: np.ndarray = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(single))
    if bad.size:
        row = int(bad[0])
        raise DataError(f"{where}: row {row}, column {column.name!r}: {_shown(column.iloc[row])} is no finite number")
    kind = getattr(column.dtype, "kind", "O")
    if kind not in "iufb":  # text that reads as numbers throughout may still be codes
        raise DataError(f"{where}: row 0, column {column.name!r}: {_shown(column.iloc[0])} is text, not a number")
    return single


def _classes(column: pd.Series, spec: TableSpec, where: str) -> np.ndarray:
    """One column as classes, [N] int64: whole numbers, or names that the spec lists."""
    place = f"column {column.name!r}"
    position = {name: index for index, name in enumerate(spec.classes)}
    labels = np.empty(len(column), dtype=np.int64)
    for row, cell in enumerate(column.tolist()):
        label = cell
        if isinstance(cell, str):
            if not spec.classes:
                found = sorted({str(name) for name in column.dropna()})
                raise DataError(f"{where}: {place} holds names: say in the spec in which order: classes = {found[:30]}")
            label = position.get(cell, -1)
        if isinstance(label, bool | np.bool_):
            label = int(label)
        whole = isinstance(label, int) or (isinstance(label, float) and label.is_integer())
        if not whole or not 0 <= label < (spec.num_classes or 0):
            known = ", ".join(spec.classes[:30]) or f"0 to {(spec.num_classes or 0) - 1}"
            raise DataError(f"{where}: row {row}, {place}: {_shown(cell)} is none of the classes {known}")
        labels[row] = int(label)
    return labels


def _shown(cell: object) -> str:
    if cell is None or cell != cell:
        return "an empty cell"
    return ascii(cell.item() if isinstance(cell, np.generic) else cell)[:60]
