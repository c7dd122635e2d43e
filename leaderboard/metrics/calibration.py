"""Whether what is said with probability p is right in a share p of cases: errors of calibration of classes.

``top`` of these functions is what `confidence_and_correct` gave for the same input, not to compute it again.
"""

from __future__ import annotations

import math

import numpy as np

from leaderboard.arrays import block_rows, checked
from leaderboard.metrics.classification import Top, confidence_and_correct
from leaderboard.metrics.registry import metric


@metric("categorical", "ECE", better="lower", range=(0, 1), scaled=True, recalibrated=True)
def ece(
    log_probs: np.ndarray, labels: np.ndarray, bins: int = 15, *, check: bool = True, top: Top | None = None
) -> float:
    """Expected calibration error of the most probable class, in equal-width bins ((b - 1)/B, b/B] of confidence.

    Depends on the number of bins, and is biased upwards on small sets (`ece_debiased`). Libraries that close the bins
    on the left differ where a confidence falls exactly on an edge.

    Formula: sum_b n_b/N |accuracy_b - mean confidence_b|, B = 15
    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017
    """
    confidence, correct = top or confidence_and_correct(log_probs, labels, check=check)
    share, gap, _ = _gaps(confidence, correct, equal_width_edges(bins))
    return float(np.sum(share * np.abs(gap)))


@metric("categorical", "ECE, equal mass", better="lower", range=(0, 1), scaled=True)
def ece_equal_mass(
    log_probs: np.ndarray, labels: np.ndarray, bins: int = 15, *, check: bool = True, top: Top | None = None
) -> float:
    """Expected calibration error in bins that hold equally many images: the edges are quantiles of the confidence.

    Images of equal confidence share a bin, so that with many ties there are fewer bins, of unequal size.

    Formula: sum_b n_b/N |accuracy_b - mean confidence_b|, B = 15 quantile bins
    Source: Nguyen & O'Connor, "Posterior calibration and exploratory analysis", EMNLP 2015
    """
    confidence, correct = top or confidence_and_correct(log_probs, labels, check=check)
    share, gap, _ = _gaps(confidence, correct, equal_mass_edges(confidence, bins))
    return float(np.sum(share * np.abs(gap)))


@metric("categorical", "ECE, debiased", better="lower", range=(0, 1), scaled=True)
def ece_debiased(
    log_probs: np.ndarray, labels: np.ndarray, bins: int = 15, *, check: bool = True, top: Top | None = None
) -> float:
    """Root-mean-square calibration error in bins of equal mass, less what the noise in the bins adds to its square.

    The square is unbiased for these bins, where the other errors grow as the set shrinks. Where its estimate falls
    below 0 the root is given as 0: no error can be seen, which does not say that there is none. Being a quadratic mean
    it is not below the mean that `ece_equal_mass` estimates.

    Formula: sqrt max(0, sum_b n_b/N (gap_b^2 - acc_b (1 - acc_b) / (n_b - 1))), B = 15 quantile bins
    Source: Kumar, Liang & Ma, "Verified Uncertainty Calibration", NeurIPS 2019
    """
    confidence, correct = top or confidence_and_correct(log_probs, labels, check=check)
    share, gap, variance = _gaps(confidence, correct, equal_mass_edges(confidence, bins))
    return math.sqrt(max(0.0, float(np.sum(share * (gap**2 - variance)))))


@metric("categorical", "ECE, classwise", better="lower", range=(0, 1), scaled=True, recalibrated=True)
def ece_classwise(log_probs: np.ndarray, labels: np.ndarray, bins: int = 15, *, check: bool = True) -> float:
    """Calibration error of the probability of every class, not of the most probable one alone: mean over classes.

    For each class all N images are put in equal-width bins ((b - 1)/B, b/B] of that class's probability, 0 in the
    first. With many classes most probabilities are near 0 and right to be so, which makes it small: compare it on one
    task only. It is the static calibration error of Nixon et al., "Measuring Calibration in Deep Learning", CVPR
    Workshops 2019; their adaptive and thresholded forms are others.

    Formula: 1/C sum_c sum_b n_cb/N |share of class c in bin cb - mean p_c in bin cb|, B = 15
    Source: Kull et al., "Beyond temperature scaling: Obtaining well-calibrated multiclass probabilities with Dirichlet
        calibration", NeurIPS 2019
    """
    if check:
        log_probs, labels = checked(log_probs, labels)
    (n, classes), edges = log_probs.shape, equal_width_edges(bins)
    # Of each class and bin: sum of probabilities less the number of true ones; n_cb cancels.
    gaps = np.zeros(classes * bins)
    first = edges[0] if bins > 1 else 1.0
    for start, rows in block_rows(log_probs):
        p = np.minimum(np.exp(rows), 1.0)
        # Few probabilities of a row lie above the first edge, so only those look for their bin.
        row, column = np.nonzero(p > first)
        high = p[row, column]
        index = column * bins + np.searchsorted(edges, high, "left")
        gaps += np.bincount(index, weights=high, minlength=len(gaps))
        p[row, column] = 0.0
        gaps[::bins] += np.einsum("nc->c", p)
        own = labels[start : start + len(rows)]
        true = np.minimum(np.exp(rows[np.arange(len(rows)), own]), 1.0)
        gaps -= np.bincount(own * bins + np.searchsorted(edges, true, "left"), minlength=len(gaps))
    return float(np.sum(np.abs(gaps))) / (n * classes)


def equal_width_edges(bins: int) -> np.ndarray:
    """[bins - 1] inner edges of equal-width bins of confidence, each bin closed on the right."""
    _check_bins(bins)
    return np.arange(1, bins) / bins


def equal_mass_edges(confidence: np.ndarray, bins: int) -> np.ndarray:
    """[bins - 1] inner edges of bins that hold equally many of ``confidence``, each bin closed on the right."""
    _check_bins(bins)
    return np.quantile(confidence, np.arange(1, bins) / bins)


def _check_bins(bins: int) -> None:
    if bins < 1:
        raise ValueError(f"bins is {bins}: need 1 at least")


def _gaps(confidence: np.ndarray, correct: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bin that is not empty: share of images, accuracy less confidence, unbiased variance of the accuracy."""
    index = np.searchsorted(edges, confidence, "left")
    count = np.bincount(index, minlength=len(edges) + 1)
    filled = count > 0
    count = count[filled]
    hit = np.bincount(index, weights=correct, minlength=len(edges) + 1)[filled] / count
    expected = np.bincount(index, weights=confidence, minlength=len(edges) + 1)[filled] / count
    return count / len(confidence), hit - expected, hit * (1.0 - hit) / np.maximum(count - 1, 1)
