"""What each kind of data set decodes to, and how: one entry a kind, beside its spec in `benchmarks.data.schema`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.data.examples import Affine, Examples
from benchmarks.data.images import Images
from benchmarks.data.sources.columns import decode_images
from benchmarks.data.sources.frames import decode_rows
from benchmarks.data.spec import DataSpec
from benchmarks.data.tables import Rows


@dataclass(frozen=True)
class Kind:
    """One kind of data set.

    Attributes:
        examples: its examples in memory; ``affine(spec)`` standardizes them.
        decode: (source, spec, split) -> examples.
        noun: what its examples are called.
    """

    examples: Any
    decode: Callable[[Any, Any, str], Examples]
    noun: str


KINDS = {"image": Kind(Images, decode_images, "images"), "table": Kind(Rows, decode_rows, "rows")}


def standardization(train: Examples, spec: DataSpec) -> Affine:
    """How inputs and targets are brought to the units that models are trained in.

    Images: by the mean and deviation that the spec states. Tables: by those of the *training rows*, so give them alone.

    Raises:
        DataError: a column of the training rows is constant.
    """
    return KINDS[spec.kind].examples.affine(train, spec)
