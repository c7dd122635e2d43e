"""SHA-256 of arrays: what records and sealed files name their content by. Needs numpy alone."""

from __future__ import annotations

import hashlib

import numpy as np


def array_sha256(array: np.ndarray) -> str:
    """SHA-256 over "DTYPE SHAPE" (as in "uint8 (5, 1, 28, 28)") and the bytes, little-endian, last axis fastest."""
    digest = sha256_prefix(array)
    digest.update(raw(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))))
    return digest.hexdigest()


def sha256_prefix(array: np.ndarray) -> hashlib._Hash:
    """The hash of an array before its bytes, for those who have these piece by piece."""
    return hashlib.sha256(f"{array.dtype.name} {tuple(array.shape)}".encode())


def raw(array: np.ndarray) -> memoryview:
    """The bytes of a contiguous array, not copied."""
    return array.reshape(-1).view(np.uint8).data
