"""Where images come from: specs, sources, the decoded cache, batches on the device.

Reading specs (`benchmarks.data.spec`) imports no torch; the names below do, when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.data.images import Images as Images
    from benchmarks.data.images import cut as cut
    from benchmarks.data.images import split as split
    from benchmarks.data.loading import load as load
    from benchmarks.data.loading import load_corrupted as load_corrupted
    from benchmarks.data.loading import load_like as load_like
    from benchmarks.data.spec import DataError as DataError
    from benchmarks.data.stream import StreamSource as StreamSource
    from benchmarks.data.tensors import TensorSource as TensorSource

_HOMES = {
    "DataError": "spec",
    "Images": "images",
    "StreamSource": "stream",
    "TensorSource": "tensors",
    "cut": "images",
    "load": "loading",
    "load_corrupted": "loading",
    "load_like": "loading",
    "split": "images",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
