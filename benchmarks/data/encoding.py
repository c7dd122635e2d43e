"""Cells of a table that are no numbers, as numbers: categories one by one, empty cells by what the training rows say.

It is what scikit-learn's `SimpleImputer(strategy="median")`, `MissingIndicator` and `OneHotEncoder(handle_unknown=
"ignore")` do together, with their fitted numbers in the open: they go into files that anybody may share, and pickles do
not. Needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from benchmarks.data.spec import DataError, TableSpec


def fitted_fills(rows: np.ndarray, spec: TableSpec) -> dict[str, float]:
    """Median of each numeric column whose cells may be empty, of the training ``rows`` alone.

    Args:
        rows: [N, features] float32; NaN where a cell is empty.
        spec: names the columns.

    Raises:
        DataError: a column has not one number in the training rows.
    """
    fills = {}
    for place, name in enumerate(spec.features):
        if name in spec.missing and name not in spec.categories:
            known = rows[:, place][~np.isnan(rows[:, place])]
            if not len(known):
                raise DataError(
                    f"{spec.name}: column {name!r} is empty in all {len(rows):,} training rows: leave it out"
                )
            fills[name] = float(np.median(known.astype(np.float64)))
    return fills


def encoded(rows: np.ndarray, spec: TableSpec, fills: Mapping[str, float]) -> np.ndarray:
    """Rows as models see them before standardization, [N, `encoded_names`] float32.

    A number whose cell may be empty is followed by a column that is 1 where it was; a category is one column a level, 1
    where the cell is that level; where its cell is empty all of them are 0.

    Args:
        rows: [N, features] float32: numbers, and the places of levels; NaN where a cell is empty.
        spec: names the columns.
        fills: of `fitted_fills`.
    """
    columns: list[np.ndarray] = []
    for place, name in enumerate(spec.features):
        column = rows[:, place]
        if name in spec.categories:
            columns += [column == level for level in range(len(spec.categories[name]))]
        elif name in spec.missing:
            columns += [np.where(np.isnan(column), np.float32(fills[name]), column), np.isnan(column)]
        else:
            columns.append(column)
    return np.stack(columns, 1).astype(np.float32)


def encoded_names(spec: TableSpec) -> Iterator[tuple[str, bool]]:
    """Name of each column that `encoded` gives, and whether it holds only 0 and 1."""
    for name in spec.features:
        if name in spec.categories:
            yield from ((f"{name}={level}", True) for level in spec.categories[name])
        else:
            yield name, False
            if name in spec.missing:
                yield f"{name} is empty", True
