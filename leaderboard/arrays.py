"""Arrays of predictions: what is refused, and how large ones are worked through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_BLOCK = 2**18  # numbers handled at once: float64 copies of this size stay in the processor's cache
UNIT_SUM = 6e-3
"""How far from 1 a row may sum: above float16 rounding of 1,000 classes, far below any real mistake."""


def checked(log_probs: np.ndarray, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """``log_probs`` and ``labels`` (zeros where None) as arrays, or a ValueError that says what is wrong with them."""
    log_probs = np.asarray(log_probs)
    if log_probs.ndim != 2 or log_probs.shape[0] < 1 or log_probs.shape[1] < 2:
        raise ValueError(f"log_probs has shape {log_probs.shape}: need [N >= 1, C >= 2]")
    if not np.issubdtype(log_probs.dtype, np.floating):
        raise ValueError(f"log_probs is {log_probs.dtype}: need floating-point numbers")
    with np.errstate(over="ignore", invalid="ignore"):  # logits, and NaN of a kind that signals: both are refused below
        sums = by_rows(
            lambda rows: np.einsum("nc->n", np.exp(rows)), log_probs, np.promote_types(log_probs.dtype, "f4")
        )
    if np.isnan(sums).any():
        raise ValueError(f"log_probs holds NaN in {int(np.isnan(sums).sum())} of {len(sums)} rows")
    worst = int(np.argmax(np.abs(sums - 1.0)))
    if abs(sums[worst] - 1.0) > UNIT_SUM:
        raise ValueError(f"log_probs is no log of probabilities: row {worst} sums to {sums[worst]:.6g}, not to 1")
    labels = np.zeros(len(log_probs), dtype=np.int64) if labels is None else np.asarray(labels)
    if labels.shape != (len(log_probs),):
        raise ValueError(f"labels has shape {labels.shape}, log_probs has {len(log_probs)} rows")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels is {labels.dtype}: need integers")
    if labels.min() < 0 or labels.max() >= log_probs.shape[1]:
        raise ValueError(f"labels span {labels.min()} to {labels.max()}: need 0 to {log_probs.shape[1] - 1}")
    return log_probs, labels


def checked_gaussian(
    mean: np.ndarray, variance: np.ndarray | None, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three as arrays (ones and zeros where None), or a ValueError that says what is wrong with them."""
    mean = np.asarray(mean)
    n = len(mean) if mean.ndim == 1 else 0
    mean = vector(mean, "mean", max(n, 1))
    variance = np.ones(n) if variance is None else vector(variance, "variance", n)
    if variance.min() <= 0.0:
        raise ValueError(f"variance is {variance.min():.6g} in row {int(variance.argmin())}: need more than 0")
    return mean, variance, np.zeros(n) if labels is None else vector(labels, "labels", n)


def vector(array: np.ndarray, name: str, length: int) -> np.ndarray:
    """``array`` as [length] finite floating-point numbers, or a ValueError that says what is wrong with it."""
    array = np.asarray(array)
    if array.shape != (length,):
        raise ValueError(f"{name} has shape {array.shape}: need [{length}], a number for each row")
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"{name} is {array.dtype}: need floating-point numbers")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise ValueError(f"{name} holds NaN or infinity in {len(bad)} of {length} rows, first in row {bad[0]}")
    return array


def by_rows(
    function: Callable[[np.ndarray], np.ndarray], array: np.ndarray, dtype: DTypeLike = np.float64
) -> np.ndarray:
    """``function`` of blocks of rows as ``dtype``, joined: fast, and without a converted copy of the whole array."""
    return np.concatenate([function(rows) for _, rows in block_rows(array, dtype)])


def block_rows(array: np.ndarray, dtype: DTypeLike = np.float64) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of rows as ``dtype``, each with the number of its first row; see `by_rows`."""
    step = max(1, _BLOCK // array.shape[1])
    for start in range(0, len(array), step):
        yield start, array[start : start + step].astype(dtype, copy=False)
