"""Where data comes from: specs, sources, the decoded cache, batches on the device, sealed evaluation sets.

Reading specs (`benchmarks.data.spec`) and sealed truth (`benchmarks.data.truth`) imports no torch; most of the names
below do, when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.data.examples import Affine as Affine
    from benchmarks.data.examples import Examples as Examples
    from benchmarks.data.examples import cut as cut
    from benchmarks.data.examples import split as split
    from benchmarks.data.images import Images as Images
    from benchmarks.data.kinds import standardization as standardization
    from benchmarks.data.loading import check_present as check_present
    from benchmarks.data.loading import load as load
    from benchmarks.data.loading import load_corrupted as load_corrupted
    from benchmarks.data.loading import load_like as load_like
    from benchmarks.data.spec import DataError as DataError
    from benchmarks.data.spec import read_spec as read_spec
    from benchmarks.data.stream import StreamSource as StreamSource
    from benchmarks.data.tables import Rows as Rows
    from benchmarks.data.tensors import TensorSource as TensorSource

_HOMES = {
    "Affine": "examples",
    "DataError": "spec",
    "Examples": "examples",
    "Images": "images",
    "Rows": "tables",
    "StreamSource": "stream",
    "TensorSource": "tensors",
    "check_present": "loading",
    "cut": "examples",
    "load": "loading",
    "load_corrupted": "loading",
    "load_like": "loading",
    "read_spec": "spec",
    "split": "examples",
    "standardization": "kinds",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
