"""What a method predicted: the only thing that metrics are computed from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save


@dataclass(frozen=True)
class Predictions:
    """Predictions on one evaluation set of N images and C classes.

    Attributes:
        log_probs: [N, C] float32, log of the members' mean probability.
        expected_entropy: [N] float32, nats: mean over members of each one's predictive entropy. The entropy of
            ``log_probs`` less this is the mutual information between prediction and member.
        energy: [N] float32: mean over members of ``-logsumexp(logits)``; high means "unlike the training data".
        labels: [N] int64, or None where the images have no class of the task (out-of-distribution sets).
    """

    log_probs: np.ndarray
    expected_entropy: np.ndarray
    energy: np.ndarray
    labels: np.ndarray | None = None


def save_predictions(path: Path, sets: Mapping[str, Predictions]) -> str:
    """Write ``sets`` (name -> predictions) to ``path`` and return the SHA-256 of the file."""
    arrays = {
        f"{name}:{key}": np.ascontiguousarray(value)
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
            fields.setdefault(name, {})[attribute] = array
        return {name: Predictions(**arrays) for name, arrays in fields.items()}
    except (SafetensorError, TypeError) as error:
        raise ValueError(f"{path}: not a predictions file ({error})") from error
