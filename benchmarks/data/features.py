"""What a frozen trunk makes of pictures: rows of numbers that stand for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from benchmarks.data.examples import Examples
from benchmarks.data.hashes import array_sha256


@dataclass(frozen=True)
class Features(Examples):
    """Features of one split of an image set, on the CPU: ``inputs`` are [N, features] float32.

    Attributes:
        pictures: SHA-256 of the pictures (`Images.inputs_sha256`), which a record names: the last bits of features
            depend on the processor that computed them. Empty where the pictures are not known.
    """

    pictures: str = ""

    @cached_property
    def inputs_sha256(self) -> str:
        """SHA-256 of the pictures, where they are known; else of the features."""
        return self.pictures or array_sha256(self.inputs.numpy())
