"""Inputs that nobody has a label for, from files: pictures, and rows of tables, in the form of a data set's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.data.encoding import encoded
from benchmarks.data.schema import printable
from benchmarks.data.sources.files import below
from benchmarks.data.sources.frames import read_frame
from benchmarks.data.sources.pictures import as_shape, open_picture
from benchmarks.data.spec import DataError, DataSpec, ImageSpec
from benchmarks.data.tables import features_of

if TYPE_CHECKING:
    import pandas as pd


def read_newcomers(
    given: Sequence[str | Path] | pd.DataFrame, spec: DataSpec, fills: Mapping[str, float]
) -> tuple[list[str], Tensor]:
    """Names and inputs: pixels [N, C, H, W] uint8, or features [N, D] float32, encoded.

    Args:
        given: paths, or a table.
        spec: what the inputs are.
        fills: what stands in empty cells of a table (`benchmarks.data.encoding`).

    Raises:
        DataError: an input cannot be read, or there is none.
    """
    if isinstance(spec, ImageSpec):
        return _pictures(given, spec)
    frames: Any = (
        [("row", given)]
        if hasattr(given, "columns")
        else [(str(one), read_frame(Path(one), None, spec.features)) for one in given]
    )
    names = [f"{name}:{row}" for name, frame in frames for row in range(len(frame))]
    inputs = [encoded(features_of(frame, spec, name), spec, fills) for name, frame in frames]
    if not names:
        raise DataError("there is nothing to predict: name a CSV or parquet file")
    return names, torch.from_numpy(np.concatenate(inputs))


def _pictures(given: Any, spec: ImageSpec) -> tuple[list[str], Tensor]:
    if hasattr(given, "columns"):
        raise DataError(f"{spec.name}: pictures are asked about by their paths, not by a table")
    paths = [path for one in given for path in _expanded(Path(one))]
    if not paths:
        raise DataError("there is nothing to predict: name a picture, or a folder of some")
    pixels = [
        as_shape(open_picture({"bytes": None, "path": str(path)}, spec, "picture"), spec, str(path)) for path in paths
    ]
    return [printable(str(path)) for path in paths], torch.from_numpy(np.stack(pixels))


def _expanded(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(f"{path} is not there")
    return sorted(below(path)) if path.is_dir() else [path]
