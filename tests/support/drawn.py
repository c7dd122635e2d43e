"""Predictions of random kinds, for tests of metrics."""

from __future__ import annotations

import numpy as np


def of_classes(seed: int, largest: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of random size, sharpness and coarseness; the coarse ones are full of ties."""
    rng = np.random.default_rng(seed)
    n, c = int(rng.integers(1, largest)), int(rng.integers(2, 12))
    logits = rng.normal(size=(n, c)) * rng.choice([0.1, 1.0, 5.0, 40.0])
    if rng.random() < 0.4:
        logits = np.round(logits)
    if rng.random() < 0.3:
        logits[rng.random(size=(n, c)) < 0.2] = -np.inf
        logits[np.arange(n), rng.integers(0, c, n)] = 0.0
    labels = rng.integers(0, c, n) if rng.random() < 0.8 else np.full(n, rng.integers(0, c))
    top = logits.max(axis=1, keepdims=True)
    return logits - top - np.log(np.sum(np.exp(logits - top), axis=1, keepdims=True)), labels


def of_numbers(seed: int, largest: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance and labels, float32, of random size, unit, sharpness and error; some errors are exactly 0."""
    rng = np.random.default_rng(seed)
    n, size = int(rng.integers(1, largest)), 10.0 ** rng.integers(-3, 5)
    mean = (rng.normal(size=n) + rng.choice([0.0, 10.0])) * size
    variance = np.exp(rng.normal(size=n)) * size**2 * rng.choice([1e-2, 1.0, 1e2])
    labels = mean + rng.normal(size=n) * size * (rng.random(n) < 0.9)
    return mean.astype(np.float32), variance.astype(np.float32), labels.astype(np.float32)
