"""Temperature scaling of stored predictions, fitted on validation for every method alike."""

from __future__ import annotations

import numpy as np

from leaderboard.predictions import by_rows, checked

LOWEST, HIGHEST = 0.01, 100.0


def fit_temperature(log_probs: np.ndarray, labels: np.ndarray) -> float:
    """The temperature T that minimises the NLL of ``softmax(log_probs / T)``.

    The NLL is convex in 1/T, so its derivative has at most one root, which is searched in [0.01, 100]. A set on which
    every image is right wants T = 0 and gets the lower bound; one on which the predictions say nothing (all rows
    uniform) gets 1. Rounded to six digits, so that what is computed with it repeats on other machines.

    Args:
        log_probs: [N, C], natural log of the predictive probabilities of the validation set.
        labels: [N], integers.

    Raises:
        ValueError: a true class has probability 0, so the NLL is infinite at every temperature; or see `checked`.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; on the log of the mean probability, as
    Rahaman & Thiery, "Uncertainty Quantification and Deep Ensembles", NeurIPS 2021, do after averaging.
    """
    from scipy.optimize import brentq  # here, since reading results must not wait for it

    log_probs, labels = checked(log_probs, labels)
    true = log_probs[np.arange(len(labels)), labels].astype(np.float64)
    if np.isneginf(true).any():
        raise ValueError("no temperature: a true class of the validation set has probability 0")
    target = float(np.mean(true))

    def slope(log_temperature: float) -> float:
        """Derivative of the NLL by 1/T."""
        beta = np.exp(-log_temperature)
        return float(np.mean(by_rows(lambda rows: _tempered_mean(rows, beta), log_probs))) - target

    low, high = np.log(LOWEST), np.log(HIGHEST)
    at_low, at_high = slope(low), slope(high)
    if abs(at_low - at_high) < 1e-12 * (1.0 + abs(target)):
        return 1.0  # the NLL does not depend on the temperature
    if at_low <= 0.0:
        return LOWEST
    if at_high >= 0.0:
        return HIGHEST
    root: float = brentq(slope, low, high, xtol=1e-10)  # type: ignore[assignment]  # a pair only with full_output
    return float(f"{np.exp(root):.6g}")


def scale(log_probs: np.ndarray, temperature: float, *, check: bool = True) -> np.ndarray:
    """[N, C] float64: log of ``softmax(log_probs / temperature)``.

    Raises:
        ValueError: the temperature is not a positive number.
    """
    if not 0.0 < temperature < np.inf:
        raise ValueError(f"temperature {temperature} is not a positive number")

    def normalized(rows: np.ndarray) -> np.ndarray:
        rows = rows / temperature
        rows -= np.max(rows, axis=1, keepdims=True)
        rows -= np.log(np.einsum("nc->n", np.exp(rows)))[:, None]
        return rows

    return by_rows(normalized, checked(log_probs)[0] if check else log_probs)


def _tempered_mean(rows: np.ndarray, beta: float) -> np.ndarray:
    """Mean of ``rows`` under softmax(beta * rows), row by row."""
    weights = np.exp(beta * (rows - np.max(rows, axis=1, keepdims=True)))
    return np.einsum("nc,nc->n", weights, np.maximum(rows, -1e6)) / np.einsum("nc->n", weights)
