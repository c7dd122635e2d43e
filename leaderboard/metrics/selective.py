"""What it costs to trust the most confident predictions: risk against coverage, most confident first.

Images of equal confidence are in random order, and these are exact expectations over that order. ``errors`` is what
`ranked_errors` gave for the same input, not to sort again.
"""

from __future__ import annotations

import numpy as np

from leaderboard.arrays import checked
from leaderboard.metrics.registry import metric, shared


@shared("errors")
def ranked_errors(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> np.ndarray:
    """[N] float64: probability that the k-th most confident image is wrong, k = 1 ... N, ties in random order."""
    if check:
        log_probs, labels = checked(log_probs, labels)
    # The logarithm, not the probability: it still tells apart what rounds to 1.
    log_confidence, correct = np.max(log_probs, axis=1), np.argmax(log_probs, axis=1) == labels
    order = np.argsort(-log_confidence)
    ranked, wrong = log_confidence[order], ~correct[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    sizes = np.diff(np.r_[starts, len(ranked)])
    return np.repeat(np.add.reduceat(wrong.astype(np.float64), starts) / sizes, sizes)


def selective_risk(
    log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True, errors: np.ndarray | None = None
) -> np.ndarray:
    """[N] float64: entry k - 1 is the expected error among the k most confident images, ties in random order."""
    errors = ranked_errors(log_probs, labels, check=check) if errors is None else errors
    return np.cumsum(errors) / np.arange(1, len(errors) + 1)


@metric("categorical", "AURC", better="lower", range=(0, 1), scaled=True)
def aurc(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True, errors: np.ndarray | None = None) -> float:
    """Area under the risk-coverage curve: mean error among the k most confident images, averaged over k = 1 ... N.

    Formula: mean_k (1/k) sum_{i <= k} 1[wrong_(i)], most confident first, ties in expectation
    Source: Geifman, Uziel & El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", ICLR 2019
    """
    return float(np.mean(selective_risk(log_probs, labels, check=check, errors=errors)))


@metric("categorical", "AUGRC", better="lower", range=(0, 0.5), scaled=True)
def augrc(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True, errors: np.ndarray | None = None) -> float:
    """Area under the generalized risk-coverage curve: risk that a prediction is trusted *and* wrong, over coverages.

    The error counts out of all images, not out of those that are trusted, so that no image weighs more for being
    ranked first, as it does in AURC. Half the error rate where confidence says nothing; half its square at best.

    Formula: area by trapezoids under r_k = (1/N) sum_{i <= k} 1[wrong_(i)] at coverage k/N, k = 0 ... N;
        which is (1 - AUROC) acc (1 - acc) + (1 - acc)^2 / 2, with the AUROC of confidence for being right
    Source: Traub et al., "Overcoming Common Flaws in the Evaluation of Selective Classification Systems", NeurIPS 2024
    """
    errors = ranked_errors(log_probs, labels, check=check) if errors is None else errors
    wrong = np.cumsum(errors)
    return (float(np.sum(wrong)) - float(wrong[-1]) / 2) / len(wrong) ** 2
