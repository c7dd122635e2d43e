"""Post-hoc calibration of classes by more than one number: fitted on validation for every method alike.

All but `isotonic` start from the predictions after temperature scaling and fit deviations from them, so that none is
worse than temperature on the images it is fitted on, and each with less data comes nearer to it. The penalty of a
deviation is that of a normal prior of mean 0, of which the fit is the mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaderboard import affine
from leaderboard.arrays import by_rows, checked
from leaderboard.calibration import fit_temperature, scale
from leaderboard.metrics.registry import Recalibrate, recalibration

WIDE = 10.0
"""Standard deviation of the prior of `vector` and `matrix`: nearly none, for where the likelihood has no maximum."""
MOST_CLASSES = 128
"""Beyond it the matrices, which have more numbers than a validation set can tell, are not fitted."""
_LOWEST = float(np.log(np.finfo(np.float64).tiny))  # in place of the log of probability 0


@dataclass(frozen=True)
class Affine:
    """Temperature scaling and what is fitted beyond it: [N, C] log probabilities -> [N, C] float64.

    Attributes:
        temperature: see `leaderboard.calibration.fit_temperature`.
        family: what is fitted.
        theta: its parameters; 0 is temperature scaling alone.
    """

    temperature: float
    family: affine.Family
    theta: np.ndarray

    def __call__(self, log_probs: np.ndarray) -> np.ndarray:
        """The calibrated log probabilities; those of probability 0 are taken as the lowest that float64 can hold."""

        def changed(rows: np.ndarray) -> np.ndarray:
            return affine.normalized(rows + self.family.change(rows, self.theta))

        return by_rows(changed, _logits(log_probs, self.temperature))


@recalibration("categorical", "vector scaled")
def vector(log_probs: np.ndarray, labels: np.ndarray) -> Recalibrate | None:
    """A factor and an offset for each class, fitted almost freely.

    Almost: each of the 2 C deviations has the penalty 1/(200 N), a prior of standard deviation 10. Without any there is
    no answer where a class is missing, or separated from the others.

    Formula: softmax((1 + v_c) log p_c / T + b_c)
    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2, on log probabilities
    """
    n, c = _shape(log_probs)
    return _fitted(affine.Diagonal(np.full((2, c), 0.5 / WIDE**2 / n)), log_probs, labels)


@recalibration("categorical", "structured vector scaled")
def structured_vector(log_probs: np.ndarray, labels: np.ndarray) -> Recalibrate | None:
    """A factor and an offset for each class, held near temperature scaling: the penalty is C/N of each deviation.

    Formula: softmax((1 + v_c) log p_c / T + b_c), minimising mean NLL + C/N (sum v_c^2 + sum b_c^2), T fitted before
    Source: "Structured Matrix Scaling for Multi-Class Calibration", arXiv 2511.03685, with the ridge penalty, lambda =
        rho = tau = 1, that its authors' package takes if nothing else is said
    """
    n, c = _shape(log_probs)
    return _fitted(affine.Diagonal(np.full((2, c), c / n)), log_probs, labels)


@recalibration("categorical", "matrix scaled")
def matrix(log_probs: np.ndarray, labels: np.ndarray) -> Recalibrate | None:
    """A matrix and an offset for each class, fitted almost freely, as `vector`: few images it learns by heart.

    Formula: softmax((I + M) log p / T + b)
    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2, on log probabilities
    """
    n, c = _shape(log_probs)
    if c > MOST_CLASSES:
        return None
    return _fitted(affine.Full(np.full((c, c + 1), 0.5 / WIDE**2 / n)), log_probs, labels)


@recalibration("categorical", "structured matrix scaled")
def structured_matrix(log_probs: np.ndarray, labels: np.ndarray) -> Recalibrate | None:
    """A matrix and an offset for each class, held near temperature scaling, the numbers off the diagonal most.

    Formula: softmax((I + M) log p / T + b), minimising mean NLL + C/N (sum M_cc^2 + sum b_c^2) + C(C-1)/N (sum of
        M_cd^2, c != d), T fitted before
    Source: "Structured Matrix Scaling for Multi-Class Calibration", arXiv 2511.03685, with the ridge penalty, lambda =
        rho = tau = 1, that its authors' package takes if nothing else is said
    """
    n, c = _shape(log_probs)
    if c > MOST_CLASSES:
        return None
    penalty = np.full((c, c + 1), c * (c - 1) / n)
    penalty[:, c] = penalty[np.arange(c), np.arange(c)] = c / n
    return _fitted(affine.Full(penalty), log_probs, labels)


@dataclass(frozen=True)
class Steps:
    """Isotonic maps of each class's probability, then made to sum to 1: [N, C] log probabilities -> [N, C] float64.

    Attributes:
        knots: of each class: probabilities, rising, and what they become; linear between them, constant outside.
        examples: how many the maps were fitted on.
    """

    knots: Sequence[tuple[np.ndarray, np.ndarray]]
    examples: int

    def __call__(self, log_probs: np.ndarray) -> np.ndarray:
        """The calibrated log probabilities, all above minus infinity."""
        return by_rows(self._changed, np.asarray(log_probs))

    def _changed(self, rows: np.ndarray) -> np.ndarray:
        shares = [np.interp(np.exp(column), *knots) for column, knots in zip(rows.T, self.knots, strict=True)]
        smoothed = (self.examples * np.stack(shares, axis=1) + 1.0 / rows.shape[1]) / (self.examples + 1.0)
        return np.log(smoothed / np.einsum("nc->n", smoothed)[:, None])


@recalibration("categorical", "isotonic")
def isotonic(log_probs: np.ndarray, labels: np.ndarray) -> Recalibrate | None:
    """Every class against the rest: the rising function of its probability that is nearest to its labels, normalized.

    Before that each is mixed with one more example that belongs to every class in equal parts, so that no probability
    is 0; a class that is missing has 1/(C (N + 1)) everywhere. It may order classes anew, and is not bound to be
    better than temperature on the images it is fitted on.

    Formula: q_c = (N f_c(p_c) + 1/C) / (N + 1), p_c' = q_c / sum_d q_d, f_c by least squares, linear between its steps
    Source: Zadrozny & Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002
    """
    from scipy.optimize import isotonic_regression

    knots = []
    for c, column in enumerate(log_probs.T):
        places, where, counts = np.unique(np.exp(column.astype(np.float64)), return_inverse=True, return_counts=True)
        shares = np.bincount(where, weights=labels == c) / counts
        knots.append((places, isotonic_regression(shares, weights=counts).x))
    return Steps(knots, len(labels))


def _shape(log_probs: np.ndarray) -> tuple[int, int]:
    n, c = log_probs.shape
    return n, c


def _logits(log_probs: np.ndarray, temperature: float) -> np.ndarray:
    return np.maximum(scale(log_probs, temperature, check=False), _LOWEST)


def _fitted(family: affine.Family, log_probs: np.ndarray, labels: np.ndarray) -> Affine | None:
    """None where no temperature exists, since a true class has probability 0."""
    log_probs, labels = checked(log_probs, labels)
    if np.isneginf(log_probs[np.arange(len(labels)), labels]).any():
        return None
    temperature = fit_temperature(log_probs, labels)
    return Affine(temperature, family, affine.fit(family, _logits(log_probs, temperature), labels))
