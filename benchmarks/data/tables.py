"""Tables in memory: rows of numbers, and a class or a real number to predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from benchmarks.data.encoding import encoded, encoded_names
from benchmarks.data.examples import Affine, Examples
from benchmarks.data.spec import DataError, TableSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Rows(Examples):
    """One split of a table, on the CPU: ``inputs`` are features, [N, D] float32, in their own units.

    As they are read, a category is the place of its level and an empty cell NaN; models see them `encoded`.
    """

    def encoded(self, spec: TableSpec, fills: Mapping[str, float]) -> Rows:
        """These rows in numbers alone; ``fills``: of `benchmarks.data.encoding.fitted_fills`."""
        return replace(self, inputs=torch.from_numpy(encoded(self.inputs.numpy(), spec, fills)))

    def affine(self, spec: TableSpec) -> Affine:
        """Features, and a real target, less their mean over their deviation: taken from these rows, in float64.

        The rows are encoded; columns that hold 0 and 1 stay as they are.

        Raises:
            DataError: a feature, or the real target, is the same in every row.
        """
        features = self.inputs.double()
        mean, std = features.mean(0), features.std(0, correction=0)
        names, marks = zip(*encoded_names(spec), strict=True)
        mark = torch.tensor(marks)
        _refuse_constant(
            features[:, ~mark], tuple(n for n, is_mark in zip(names, marks, strict=True) if not is_mark), spec.name
        )
        mean, std = mean.masked_fill(mark, 0.0), std.masked_fill(mark, 1.0)
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


def joined(parts: list[Rows], spec: TableSpec, split: str) -> Rows:
    """All rows of ``parts``, in order.

    Raises:
        DataError: there are none.
    """
    if not any(map(len, parts)):
        raise DataError(f"{spec.name}, split {split!r}: the split is empty")
    labels = [part.labels for part in parts if part.labels is not None]
    return Rows(torch.cat([part.inputs for part in parts]), torch.cat(labels), spec.classes)


def to_rows(frame: pd.DataFrame, spec: TableSpec, split: str, may_be_empty: bool = False) -> Rows:
    """The columns that ``spec`` names, checked cell by cell; messages name a row by the frame's index.

    Raises:
        DataError: a column is not there or there twice, or a cell is no finite number, or no class; or there is no row.
    """
    where = f"{spec.name}, split {split!r}"
    for name, wanted in spec.only.items():
        frame = cast("pd.DataFrame", frame[_chosen(frame, name, wanted, where)])
    if not len(frame) and not may_be_empty:
        raise DataError(f"{where}: the split is empty")
    features = features_of(frame, spec, where)
    _require(frame, (spec.target,), where)
    if spec.likelihood == "gaussian":
        labels = torch.from_numpy(_numbers(_column(frame, spec.target), where))
    else:
        labels = torch.from_numpy(_classes(_column(frame, spec.target), spec, where))
    return Rows(torch.from_numpy(features), labels, spec.classes)


def _chosen(frame: pd.DataFrame, name: str, wanted: tuple[Any, ...], where: str) -> np.ndarray:
    """Which rows are read, [N]: those whose cell in ``name`` lies in a closed interval, or is one of some levels."""
    _require(frame, (name,), where)
    column = _column(frame, name)
    if isinstance(wanted[0], str):
        return np.array([name_of(cell) in wanted for cell in column.tolist()], dtype=bool)
    numbers = _numbers(column, where, may_be_empty=True)
    return (numbers >= np.float32(wanted[0])) & (numbers <= np.float32(wanted[1]))


def features_of(frame: pd.DataFrame, spec: TableSpec, where: str) -> np.ndarray:
    """The inputs alone, [N, features] float32, NaN where a cell is empty and may be; ``where`` stands in messages.

    Raises:
        DataError: as `to_rows`.
    """
    _require(frame, spec.features, where)
    features = np.empty((len(frame), len(spec.features)), dtype=np.float32)
    for place, name in enumerate(spec.features):
        column, may_be_empty = _column(frame, name), name in spec.missing
        if name in spec.categories:
            features[:, place] = _levels(column, spec.categories[name], where, may_be_empty)
        else:
            features[:, place] = _numbers(column, where, may_be_empty)
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


def _levels(column: pd.Series, levels: tuple[str, ...], where: str, may_be_empty: bool) -> np.ndarray:
    """Places of the cells among ``levels``, [N]; NaN where a cell is empty and may be."""
    position = {name: float(index) for index, name in enumerate(levels)}
    places = np.array([position.get(name_of(cell), np.nan) for cell in column.tolist()], dtype=np.float64)
    bad = np.flatnonzero(np.isnan(places) & ~(column.isna().to_numpy() & may_be_empty))
    if bad.size:
        row, known = int(bad[0]), ", ".join(levels[:30])
        raise DataError(
            f"{where}: row {column.index[row]}, column {column.name!r}: {_shown(column.iloc[row])} is none of {known}"
        )
    return places


def name_of(cell: object) -> str:
    """A cell as the name of a level or a class: a whole number is written without a point."""
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell)


def _numbers(column: pd.Series, where: str, may_be_empty: bool = False) -> np.ndarray:
    """One column as float32, [N]; NaN where a cell is empty and may be."""
    import pandas as pd

    values: np.ndarray = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(single) & ~(column.isna().to_numpy() & may_be_empty))
    if bad.size:
        row = int(bad[0])
        raise DataError(
            f"{where}: row {column.index[row]}, column {column.name!r}: {_shown(column.iloc[row])} is no finite number"
        )
    kind = getattr(column.dtype, "kind", "O")
    if kind not in "iufb" and len(column):  # text that reads as numbers throughout may still be codes
        raise DataError(
            f"{where}: row {column.index[0]}, column {column.name!r}: {_shown(column.iloc[0])} is text, not a number"
        )
    return single


def _classes(column: pd.Series, spec: TableSpec, where: str) -> np.ndarray:
    """One column as classes, [N] int64: whole numbers, or names that the spec lists."""
    place = f"column {column.name!r}"
    position = {name: index for index, name in enumerate(spec.classes)}
    by_name = all(map(is_whole, spec.classes)) and bool(spec.classes)
    labels = np.empty(len(column), dtype=np.int64)
    for row, cell in enumerate(column.tolist()):
        label = name_of(cell) if by_name and isinstance(cell, int | float) else cell
        if isinstance(label, str):
            if not spec.classes:
                found = sorted({str(name) for name in column.dropna()})
                raise DataError(f"{where}: {place} holds names: say in the spec in which order: classes = {found[:30]}")
            label = position.get(label, -1)
        if isinstance(label, bool | np.bool_):
            label = int(label)
        whole = isinstance(label, int) or (isinstance(label, float) and label.is_integer())
        if not whole or not 0 <= label < (spec.num_classes or 0):
            known = ", ".join(spec.classes[:30]) or f"0 to {(spec.num_classes or 0) - 1}"
            raise DataError(f"{where}: row {column.index[row]}, {place}: {_shown(cell)} is none of the classes {known}")
        labels[row] = int(label)
    return labels


def is_whole(name: str) -> bool:
    """Whether the name of a class is a whole number: then numbers in a column are names, not places in the order."""
    return name.removeprefix("-").isdecimal() and name.isascii()


def _shown(cell: object) -> str:
    if cell is None or cell != cell:
        return "an empty cell"
    return ascii(cell.item() if isinstance(cell, np.generic) else cell)[:60]
