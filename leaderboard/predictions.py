"""What a method predicted: the only thing that metrics are computed from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

_BLOCK = 2**18  # numbers handled at once: float64 copies of this size stay in the processor's cache
_UNIT_SUM = 6e-3  # how far from 1 a row may sum: above float16 rounding of 1,000 classes, far below any real mistake


@dataclass(frozen=True)
class Predictions:
    """Predictions on one evaluation set of N images and C classes.

    Attributes:
        log_probs: [N, C] float32, log of the members' mean probability, rounded to what float16 holds: what is scored
            is what is stored.
        expected_entropy: [N] float32, nats: mean over members of each one's predictive entropy, less what rounding took
            from the entropy of ``log_probs``. That entropy less this is the mutual information between prediction and
            member.
        energy: [N] float32: mean over members of ``-logsumexp(logits)``; high means "unlike the training data".
        labels: [N] int64, or None where the images have no class of the task (out-of-distribution sets).
    """

    log_probs: np.ndarray
    expected_entropy: np.ndarray
    energy: np.ndarray
    labels: np.ndarray | None = None


def save_predictions(path: Path, sets: Mapping[str, Predictions]) -> str:
    """Write ``sets`` (name -> predictions) to ``path`` and return the SHA-256 of the file.

    Arrays are stored in the smallest type that holds every number of theirs exactly.
    """
    arrays = {
        f"{name}:{key}": np.ascontiguousarray(_smallest(value))
        for name, predictions in sorted(sets.items())
        for key, value in vars(predictions).items()
        if value is not None
    }
    data = save(arrays)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def load_predictions(path: Path) -> dict[str, Predictions]:
    """Read what `save_predictions` wrote.

    Raises:
        ValueError: the file is damaged or is no predictions file.
    """
    fields: dict[str, dict[str, np.ndarray]] = {}
    try:
        for key, array in load_file(path).items():
            name, _, attribute = key.rpartition(":")
            kind = np.int64 if attribute == "labels" else np.float32
            fields.setdefault(name, {})[attribute] = array.astype(kind, copy=False)
        return {name: Predictions(**arrays) for name, arrays in fields.items()}
    except (SafetensorError, TypeError) as error:
        raise ValueError(f"{path}: not a predictions file ({error})") from error


def _smallest(array: np.ndarray) -> np.ndarray:
    if np.issubdtype(array.dtype, np.integer):
        return array.astype(np.min_scalar_type(int(array.max(initial=0)))) if array.min(initial=0) >= 0 else array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half, array, equal_nan=True) else array


def checked(log_probs: np.ndarray, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """``log_probs`` and ``labels`` (zeros where None) as arrays, or a ValueError that says what is wrong with them."""
    log_probs = np.asarray(log_probs)
    if log_probs.ndim != 2 or log_probs.shape[0] < 1 or log_probs.shape[1] < 2:
        raise ValueError(f"log_probs has shape {log_probs.shape}: need [N >= 1, C >= 2]")
    if not np.issubdtype(log_probs.dtype, np.floating):
        raise ValueError(f"log_probs is {log_probs.dtype}: need floating-point numbers")
    with np.errstate(over="ignore"):  # logits in place of log_probs: their sum is refused below
        sums = by_rows(
            lambda rows: np.einsum("nc->n", np.exp(rows)), log_probs, np.promote_types(log_probs.dtype, "f4")
        )
    if np.isnan(sums).any():
        raise ValueError(f"log_probs holds NaN in {int(np.isnan(sums).sum())} of {len(sums)} rows")
    worst = int(np.argmax(np.abs(sums - 1.0)))
    if abs(sums[worst] - 1.0) > _UNIT_SUM:
        raise ValueError(f"log_probs is no log of probabilities: row {worst} sums to {sums[worst]:.6g}, not to 1")
    labels = np.zeros(len(log_probs), dtype=np.int64) if labels is None else np.asarray(labels)
    if labels.shape != (len(log_probs),):
        raise ValueError(f"labels has shape {labels.shape}, log_probs has {len(log_probs)} rows")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels is {labels.dtype}: need integers")
    if labels.min() < 0 or labels.max() >= log_probs.shape[1]:
        raise ValueError(f"labels span {labels.min()} to {labels.max()}: need 0 to {log_probs.shape[1] - 1}")
    return log_probs, labels


def by_rows(
    function: Callable[[np.ndarray], np.ndarray], array: np.ndarray, dtype: npt.DTypeLike = np.float64
) -> np.ndarray:
    """``function`` of blocks of rows as ``dtype``, joined: fast, and without a converted copy of the whole array."""
    step = max(1, _BLOCK // array.shape[1])
    blocks = [function(array[start : start + step].astype(dtype, copy=False)) for start in range(0, len(array), step)]
    return np.concatenate(blocks)
