"""Tables of numbers, from packages, files and the hub, read by pandas."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.data.sources.files import AnySource, files_of, first_line
from benchmarks.data.sources.library import open_hub
from benchmarks.data.spec import Builtin, DataError, Hub, Idx, TableSpec
from benchmarks.data.tables import Rows, joined, to_rows

if TYPE_CHECKING:
    import pandas as pd

ROWS = 200_000
"""Rows of a CSV file that are read at a time."""


def _scikit_learn(name: str, **arguments: object) -> pd.DataFrame:
    from sklearn import datasets

    bunch: Any = getattr(datasets, f"load_{name}")(as_frame=True, **arguments)
    return bunch.frame


def _diamonds() -> pd.DataFrame:
    """The table inside of plotnine, read without importing it; the price also as its natural logarithm."""
    import numpy as np
    import pandas as pd

    found = importlib.util.find_spec("plotnine")
    assert found is not None and found.origin is not None
    frame = pd.read_csv(Path(found.origin).parent / "data" / "diamonds.csv")
    return frame.assign(target=np.log(frame["price"]))


# Each a frame with its target in column "target".
BUILTIN = {
    "diamonds": _diamonds,
    "breast_cancer": lambda: _scikit_learn("breast_cancer"),
    "diabetes": lambda: _scikit_learn("diabetes", scaled=False),
    "wine": lambda: _scikit_learn("wine"),
}


def decode_rows(source: AnySource, spec: TableSpec, split: str) -> Rows:
    """Read one split of ``spec`` from ``source`` into memory.

    Raises:
        DataError: the source is not what the spec says, or cannot be reached.
    """
    import pandas as pd

    if isinstance(source, Idx):
        raise DataError(f"{spec.name}: idx files hold images, not tables")
    if isinstance(source, Builtin):
        if source.function not in BUILTIN:
            raise DataError(f"{spec.name}: no built-in table {source.function!r}; there are {', '.join(BUILTIN)}")
        return to_rows(BUILTIN[source.function](), spec, split)
    if isinstance(source, Hub):
        frame: Any = open_hub(source, spec, split).to_pandas()
        return to_rows(frame, spec, split)
    wanted, parts, first = (*spec.features, spec.target, *spec.only), [], 0
    for path in files_of(source, split):
        for frame in pieces(path, source.format, wanted):
            frame.index = pd.RangeIndex(first, first + len(frame))
            first += len(frame)
            parts.append(to_rows(frame, spec, split, may_be_empty=True))
    return joined(parts, spec, split)


def pieces(path: Path, kind: str, wanted: tuple[str, ...]) -> Iterator[pd.DataFrame]:
    """The ``wanted`` columns of one file, some rows at a time where it is CSV: a file may be larger than memory.

    Raises:
        DataError: as `read_frame`.
    """
    import pandas as pd

    if kind != "csv":
        yield read_frame(path, kind, wanted)
        return
    header = _header(path)
    _refuse_twice(header, wanted, path)
    is_whole = set(wanted) <= set(header)  # what is missing is said beside all that is there
    try:
        with pd.read_csv(
            path,
            encoding="utf-8-sig",
            index_col=False,
            usecols=[place for place, name in enumerate(header) if name in wanted] if is_whole else None,
            chunksize=ROWS,
        ) as reader:
            yield from reader
    except Exception as error:
        raise _unreadable(path, kind, error) from error


def _header(path: Path) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return next(csv.reader(file), [])
    except Exception as error:
        raise _unreadable(path, "csv", error) from error


def _unreadable(path: Path, kind: str, error: Exception) -> DataError:
    return DataError(f"{path}: could not be read as {kind}: {first_line(error)}")


def _refuse_twice(header: list[str], wanted: tuple[str, ...], path: Path) -> None:
    twice = next((name for name in wanted if header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: column {twice!r} is there {header.count(twice)} times")


def read_frame(path: Path, kind: str | None = None, wanted: tuple[str, ...] | None = None) -> pd.DataFrame:
    """One file of ``kind`` csv or parquet, which its name says unless it is given; ``wanted``: columns, None: all.

    The header is checked here: pandas renames a column that is there twice, in silence.

    Raises:
        DataError: it cannot be read, or has a wanted column twice.
    """
    import pandas as pd

    kind = kind or path.suffix.lower().removeprefix(".")
    if kind not in ("csv", "parquet", "arrow"):
        raise DataError(f"{path}: tables are read from .csv and .parquet files")
    try:
        if kind == "parquet":
            return pd.read_parquet(path)
        if kind == "arrow":
            from datasets import Dataset

            return Dataset.from_file(str(path)).to_pandas()  # pyright: ignore[reportReturnType] - no iterator of batches
        header = _header(path)
        frame = pd.read_csv(path, encoding="utf-8-sig", index_col=False)
    except DataError:
        raise
    except Exception as error:  # pandas raises whatever its own dependencies raise
        raise _unreadable(path, kind, error) from error
    _refuse_twice(header, tuple(header) if wanted is None else wanted, path)
    return frame
