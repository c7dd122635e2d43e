"""Post-hoc scaling of stored predictions by one number, fitted on validation for every method alike.

Classes: a temperature. Gaussians: a factor on the variance, which is the same thing: the NLL chooses how sure to be,
and what is predicted stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from leaderboard.arrays import by_rows, checked, checked_gaussian
from leaderboard.metrics.registry import Kind
from leaderboard.predictions import Categorical, Gaussian

LOWEST, HIGHEST = 0.01, 100.0
"""Bounds of the temperature; the variance factor, which acts as its square, has their squares."""


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


def fit_variance_factor(mean: np.ndarray, variance: np.ndarray, labels: np.ndarray) -> float:
    """The factor s that minimises the NLL of Gaussians of variance ``s * variance``.

    It lies in [0.0001, 10000], so that a set on which every mean is exact has one. Rounded to six digits, so that what
    is computed with it repeats on other machines.

    Args:
        mean: [N], predictive means of the validation set.
        variance: [N], predictive variances, above 0.
        labels: [N], true values.

    Raises:
        ValueError: see `checked_gaussian`.

    Formula: s = mean (y - mu)^2 / sigma^2
    Source: the root of the derivative of the NLL by s; as Laves et al., "Well-Calibrated Regression Uncertainty in
        Medical Imaging with Deep Learning", MIDL 2020, scale the standard deviation
    """
    mean, variance, labels = checked_gaussian(mean, variance, labels)
    squares = (labels.astype(np.float64) - mean.astype(np.float64)) ** 2 / variance.astype(np.float64)
    return float(f"{np.clip(np.mean(squares), LOWEST**2, HIGHEST**2):.6g}")


@dataclass(frozen=True)
class Scaling:
    """How predictions of one kind are scaled.

    Attributes:
        parameter: the name of the number that is fitted.
        fit: predictions with labels -> that number; NaN where none exists.
        apply: predictions, number -> scaled predictions.
    """

    parameter: str
    fit: Callable[[Any], float]
    apply: Callable[[Any, float], Any]


def _temperature(validation: Categorical) -> float:
    log_probs, labels = validation.log_probs, np.asarray(validation.labels)
    if np.isneginf(log_probs[np.arange(len(labels)), labels]).any():
        return float("nan")  # the NLL is infinite at every temperature
    return fit_temperature(log_probs, labels)


def _tempered(predictions: Categorical, temperature: float) -> Categorical:
    return replace(predictions, log_probs=scale(predictions.log_probs, temperature, check=False))


def _variance_factor(validation: Gaussian) -> float:
    return fit_variance_factor(validation.mean, validation.variance, np.asarray(validation.labels))


def _widened(predictions: Gaussian, factor: float) -> Gaussian:
    return replace(predictions, variance=predictions.variance.astype(np.float64) * factor)


SCALINGS: dict[Kind, Scaling] = {
    "categorical": Scaling("temperature", _temperature, _tempered),
    "gaussian": Scaling("variance_factor", _variance_factor, _widened),
}


def _tempered_mean(rows: np.ndarray, beta: float) -> np.ndarray:
    """Mean of ``rows`` under softmax(beta * rows), row by row."""
    weights = np.exp(beta * (rows - np.max(rows, axis=1, keepdims=True)))
    return np.einsum("nc,nc->n", weights, np.maximum(rows, -1e6)) / np.einsum("nc->n", weights)
