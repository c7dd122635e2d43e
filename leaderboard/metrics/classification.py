"""How good and how honest the probabilities of classes are, image by image."""

from __future__ import annotations

import numpy as np

from leaderboard.arrays import by_rows, checked
from leaderboard.metrics.registry import NATS, metric, shared

Top = tuple[np.ndarray, np.ndarray]
"""What `confidence_and_correct` gives."""


@shared("top")
def confidence_and_correct(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> Top:
    """Probability of the most probable class, [N] float64 in [0, 1], and whether it is the true one, [N] bool."""
    if check:
        log_probs, labels = checked(log_probs, labels)
    chosen = np.argmax(log_probs, axis=1)
    top = log_probs[np.arange(len(chosen)), chosen].astype(np.float64)
    return np.minimum(np.exp(top), 1.0), chosen == labels


def correct_per_item(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> np.ndarray:
    """[N] float64: 1 where the most probable class is the true one, else 0; their mean is `accuracy`."""
    return confidence_and_correct(log_probs, labels, check=check)[1].astype(np.float64)


@metric("categorical", "accuracy", better="higher", range=(0, 1), per_item=correct_per_item, recalibrated=True)
def accuracy(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True, top: Top | None = None) -> float:
    """Share of images whose most probable class is the true one; of equally probable classes, the first counts.

    Formula: mean 1[argmax_c p_c = y]
    Source: usage
    """
    return float(np.mean((top or confidence_and_correct(log_probs, labels, check=check))[1]))


def nll_per_item(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> np.ndarray:
    """[N] float64: ``-log p_y`` of each image, whose mean is `nll`."""
    if check:
        log_probs, labels = checked(log_probs, labels)
    return np.maximum(-log_probs[np.arange(len(labels)), labels].astype(np.float64), 0.0)


@metric(
    "categorical",
    "NLL",
    better="lower",
    range=(0, np.inf),
    unit=NATS,
    per_item=nll_per_item,
    scaled=True,
    recalibrated=True,
)
def nll(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> float:
    """Negative log-likelihood in nats; infinite as soon as one true class has probability 0.

    Formula: mean -log p_y
    Source: Good, "Rational Decisions", JRSS B 1952
    """
    return float(np.mean(nll_per_item(log_probs, labels, check=check)))


def brier_per_item(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> np.ndarray:
    """[N] float64: squared distance between probabilities and one-hot label, whose mean is `brier`."""
    if check:
        log_probs, labels = checked(log_probs, labels)
    squares = by_rows(lambda rows: np.einsum("nc->n", np.exp(2.0 * rows)), log_probs)
    true = np.exp(log_probs[np.arange(len(labels)), labels].astype(np.float64))
    return np.maximum(squares - 2.0 * true + 1.0, 0.0)


@metric(
    "categorical", "Brier score", better="lower", range=(0, 2), per_item=brier_per_item, scaled=True, recalibrated=True
)
def brier(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> float:
    """Brier score, summed over classes as Brier defined it (some libraries halve it).

    Formula: mean sum_c (p_c - 1[c = y])^2
    Source: Brier, "Verification of forecasts expressed in terms of probability", 1950
    """
    return float(np.mean(brier_per_item(log_probs, labels, check=check)))
