"""Every metric, from stored predictions alone.

Conventions, the same for every function:

- ``log_probs``: [N, C], natural log of the predictive probabilities; -inf is probability 0. ``labels``: [N] integers.
- What is computed is float64, whatever the input. Ties never make a result depend on the order of the rows.
- Input that has no answer is refused with a ValueError of one line: an empty set, NaN, rows that are no distribution,
  labels outside [0, C). So NaN is never a result here. Infinity may be one: the NLL of a true class of probability 0.
- ``check=False`` leaves that examination out, for input that passed `leaderboard.predictions.checked` before.
- OOD functions take one score per image, [N_id] and [N_ood]; high means "unlike the training data", OOD is positive.
"""

from __future__ import annotations

import math

import numpy as np

from leaderboard.predictions import by_rows, checked

_LOWEST = -1e6  # stands for log 0 in 0 * log 0, which is 0


def accuracy(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> float:
    """Share of images whose most probable class is the true one; of equally probable classes, the first counts.

    Formula: mean 1[argmax_c p_c = y]
    Range: [0, 1]
    Better: higher
    Source: usage
    """
    return float(np.mean(confidence_and_correct(log_probs, labels, check=check)[1]))


def nll(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> float:
    """Negative log-likelihood in nats; infinite as soon as one true class has probability 0.

    Formula: mean -log p_y
    Range: [0, inf]
    Better: lower
    Source: Good, "Rational Decisions", JRSS B 1952
    """
    return float(np.mean(nll_per_item(log_probs, labels, check=check)))


def nll_per_item(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> np.ndarray:
    """[N] float64: ``-log p_y`` of each image, whose mean is `nll`."""
    if check:
        log_probs, labels = checked(log_probs, labels)
    return np.maximum(-log_probs[np.arange(len(labels)), labels].astype(np.float64), 0.0)


def brier(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> float:
    """Brier score, summed over classes as Brier defined it (some libraries halve it).

    Formula: mean sum_c (p_c - 1[c = y])^2
    Range: [0, 2]
    Better: lower
    Source: Brier, "Verification of forecasts expressed in terms of probability", 1950
    """
    return float(np.mean(brier_per_item(log_probs, labels, check=check)))


def brier_per_item(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> np.ndarray:
    """[N] float64: squared distance between probabilities and one-hot label, whose mean is `brier`."""
    if check:
        log_probs, labels = checked(log_probs, labels)
    squares = by_rows(lambda rows: np.einsum("nc->n", np.exp(2.0 * rows)), log_probs)
    true = np.exp(log_probs[np.arange(len(labels)), labels].astype(np.float64))
    return np.maximum(squares - 2.0 * true + 1.0, 0.0)


def ece(log_probs: np.ndarray, labels: np.ndarray, bins: int = 15, *, check: bool = True) -> float:
    """Expected calibration error of the most probable class, in equal-width bins ((b - 1)/B, b/B] of confidence.

    Depends on the number of bins, and is biased upwards on small sets (`ece_debiased`). Libraries that close the bins
    on the left differ where a confidence falls exactly on an edge.

    Formula: sum_b n_b/N |accuracy_b - mean confidence_b|, B = 15
    Range: [0, 1]
    Better: lower
    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017
    """
    confidence, correct = confidence_and_correct(log_probs, labels, check=check)
    share, gap, _ = _gaps(confidence, correct, equal_width_edges(bins))
    return float(np.sum(share * np.abs(gap)))


def ece_equal_mass(log_probs: np.ndarray, labels: np.ndarray, bins: int = 15, *, check: bool = True) -> float:
    """Expected calibration error in bins that hold equally many images: the edges are quantiles of the confidence.

    Images of equal confidence share a bin, so that with many ties there are fewer bins, of unequal size.

    Formula: sum_b n_b/N |accuracy_b - mean confidence_b|, B = 15 quantile bins
    Range: [0, 1]
    Better: lower
    Source: Nguyen & O'Connor, "Posterior calibration and exploratory analysis", EMNLP 2015
    """
    confidence, correct = confidence_and_correct(log_probs, labels, check=check)
    share, gap, _ = _gaps(confidence, correct, equal_mass_edges(confidence, bins))
    return float(np.sum(share * np.abs(gap)))


def ece_debiased(log_probs: np.ndarray, labels: np.ndarray, bins: int = 15, *, check: bool = True) -> float:
    """Root-mean-square calibration error in bins of equal mass, less what the noise in the bins adds to its square.

    The square is unbiased for these bins, where the other errors grow as the set shrinks. Where its estimate falls
    below 0 the root is given as 0: no error can be seen, which does not say that there is none. Being a quadratic mean
    it is not below the mean that `ece_equal_mass` estimates.

    Formula: sqrt max(0, sum_b n_b/N (gap_b^2 - acc_b (1 - acc_b) / (n_b - 1))), B = 15 quantile bins
    Range: [0, 1]
    Better: lower
    Source: Kumar, Liang & Ma, "Verified Uncertainty Calibration", NeurIPS 2019
    """
    confidence, correct = confidence_and_correct(log_probs, labels, check=check)
    share, gap, variance = _gaps(confidence, correct, equal_mass_edges(confidence, bins))
    return math.sqrt(max(0.0, float(np.sum(share * (gap**2 - variance)))))


def aurc(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> float:
    """Area under the risk-coverage curve: mean error among the k most confident images, averaged over k = 1 ... N.

    Images of equal confidence are in random order, and this is the exact expectation over that order.

    Formula: mean_k (1/k) sum_{i <= k} 1[wrong_(i)], most confident first
    Range: [0, 1]
    Better: lower
    Source: Geifman, Uziel & El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", ICLR 2019
    """
    return float(np.mean(selective_risk(log_probs, labels, check=check)))


def selective_risk(log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True) -> np.ndarray:
    """[N] float64: entry k - 1 is the expected error among the k most confident images, ties in random order."""
    if check:
        log_probs, labels = checked(log_probs, labels)
    # The logarithm, not the probability: it still tells apart what rounds to 1.
    log_confidence, correct = np.max(log_probs, axis=1), np.argmax(log_probs, axis=1) == labels
    order = np.argsort(-log_confidence)
    ranked, wrong = log_confidence[order], ~correct[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    sizes = np.diff(np.r_[starts, len(ranked)])
    expected = np.repeat(np.add.reduceat(wrong.astype(np.float64), starts) / sizes, sizes)
    return np.cumsum(expected) / np.arange(1, len(expected) + 1)


def entropy(log_probs: np.ndarray, *, check: bool = True) -> np.ndarray:
    """[N] float64: entropy of each predictive distribution in nats; 0 log 0 is 0.

    Formula: -sum_c p_c log p_c
    Range: [0, log C]
    Better: neither: high is right where the image is ambiguous or foreign
    Source: Shannon, "A Mathematical Theory of Communication", 1948
    """
    if check:
        log_probs, _ = checked(log_probs)
    sums = by_rows(lambda rows: np.einsum("nc,nc->n", np.exp(rows), np.maximum(rows, _LOWEST)), log_probs)
    return np.maximum(-sums, 0.0)


def mutual_information(log_probs: np.ndarray, expected_entropy: np.ndarray, *, check: bool = True) -> np.ndarray:
    """[N] float64: information about the prediction in the choice of member, in nats; 0 for one member.

    It is a difference of two rounded numbers, so what is within float32 rounding of 0 is set to 0: else a method of
    one member would be scored on its rounding errors.

    Args:
        log_probs: [N, C], log of the members' mean probability.
        expected_entropy: [N], mean over members of each one's predictive entropy, nats.
        check: whether to examine ``log_probs``.

    Raises:
        ValueError: the mean of the entropies exceeds the entropy of the mean, which no members can give.

    Formula: H(mean_m p_m) - mean_m H(p_m)
    Range: [0, log C]
    Better: neither: high is right where the training data leave the answer open
    Source: Houlsby et al., "Bayesian Active Learning for Classification", 2011
    """
    total = entropy(log_probs, check=check)
    expected = np.asarray(expected_entropy, dtype=np.float64)
    if expected.shape != total.shape:
        raise ValueError(f"expected_entropy has shape {expected.shape}, log_probs has {len(total)} rows")
    if not np.all(np.isfinite(expected)):
        raise ValueError("expected_entropy holds NaN or infinity")
    information = total - expected
    lowest = float(np.min(information))
    if lowest < -1e-3:
        raise ValueError(f"expected_entropy exceeds the entropy of log_probs by {-lowest:.3g} nats")
    return np.where(information > 2e-6 * (1.0 + total), information, 0.0)


def auroc(id_scores: np.ndarray, ood_scores: np.ndarray) -> float:
    """Probability that an OOD image scores above an in-distribution one; ties count half.

    Formula: P(s_ood > s_id) + P(s_ood = s_id) / 2
    Range: [0, 1], chance is 0.5
    Better: higher
    Source: Hendrycks & Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples", ICLR 2017
    """
    inside, outside = _ranked(id_scores, "id_scores"), _ranked(ood_scores, "ood_scores")
    below = np.searchsorted(inside, outside, "left") + np.searchsorted(inside, outside, "right")
    return float(np.mean(below)) / (2 * len(inside))


def aupr_out(id_scores: np.ndarray, ood_scores: np.ndarray) -> float:
    """Average precision with OOD as the positive class: mean over OOD images of the precision at their score.

    Linear interpolation between thresholds, as some benchmarks do, gives slightly other numbers.

    Formula: sum_t (recall_t - recall_{t-1}) precision_t over distinct scores t
    Range: [0, 1], chance is the share of OOD images
    Better: higher
    Source: Hendrycks & Gimpel, ICLR 2017; Davis & Goadrich, ICML 2006, for the steps
    """
    inside, outside = _ranked(id_scores, "id_scores"), _ranked(ood_scores, "ood_scores")
    starts = np.flatnonzero(np.r_[True, outside[1:] != outside[:-1]])
    true = len(outside) - np.repeat(starts, np.diff(starts, append=len(outside)))
    false = len(inside) - np.searchsorted(inside, outside, "left")
    return float(np.mean(true / (true + false)))


def aupr_in(id_scores: np.ndarray, ood_scores: np.ndarray) -> float:
    """Average precision with in-distribution as the positive class (a low score detects it).

    Formula: as aupr_out with the classes exchanged and the scores negated
    Range: [0, 1], chance is the share of in-distribution images
    Better: higher
    Source: Hendrycks & Gimpel, ICLR 2017; Davis & Goadrich, ICML 2006, for the steps
    """
    inside, outside = _ranked(id_scores, "id_scores"), _ranked(ood_scores, "ood_scores")
    ends = np.flatnonzero(np.r_[inside[1:] != inside[:-1], True]) + 1
    true = np.repeat(ends, np.diff(ends, prepend=0))  # how many inside are at most as high as each inside
    # How many outside are: each counts from the first inside that is not below it. Much faster than to search for each.
    first = np.searchsorted(inside, outside, "left")
    false = np.cumsum(np.bincount(first, minlength=len(inside) + 1))[:-1]
    return float(np.mean(true / (true + false)))


def fpr95(id_scores: np.ndarray, ood_scores: np.ndarray) -> float:
    """Share of in-distribution images called OOD at the highest threshold that finds at least 95 % of the OOD images.

    OOD is positive, as in OpenOOD 1.5; papers that follow ODIN exchange the classes and get other numbers.

    Formula: mean 1[s_id >= t], t the largest score with mean 1[s_ood >= t] >= 0.95
    Range: [0, 1]
    Better: lower
    Source: Hendrycks, Mazeika & Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019
    """
    inside, outside = _ranked(id_scores, "id_scores"), _ranked(ood_scores, "ood_scores")
    found = -(-95 * len(outside) // 100)  # the ceiling, in integers
    return float(len(inside) - np.searchsorted(inside, outside[-found], "left")) / len(inside)


def confidence_and_correct(
    log_probs: np.ndarray, labels: np.ndarray, *, check: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the most probable class, [N] float64 in [0, 1], and whether it is the true one, [N] bool."""
    if check:
        log_probs, labels = checked(log_probs, labels)
    chosen = np.argmax(log_probs, axis=1)
    top = log_probs[np.arange(len(chosen)), chosen].astype(np.float64)
    return np.minimum(np.exp(top), 1.0), chosen == labels


def equal_width_edges(bins: int) -> np.ndarray:
    """[bins - 1] inner edges of equal-width bins of confidence, each bin closed on the right."""
    return np.arange(1, bins) / bins


def equal_mass_edges(confidence: np.ndarray, bins: int) -> np.ndarray:
    """[bins - 1] inner edges of bins that hold equally many of ``confidence``, each bin closed on the right."""
    return np.quantile(confidence, np.arange(1, bins) / bins)


def _gaps(confidence: np.ndarray, correct: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bin that is not empty: share of images, accuracy less confidence, unbiased variance of the accuracy."""
    index = np.searchsorted(edges, confidence, "left")
    count = np.bincount(index, minlength=len(edges) + 1)
    filled = count > 0
    count = count[filled]
    hit = np.bincount(index, weights=correct, minlength=len(edges) + 1)[filled] / count
    expected = np.bincount(index, weights=confidence, minlength=len(edges) + 1)[filled] / count
    return count / len(confidence), hit - expected, hit * (1.0 - hit) / np.maximum(count - 1, 1)


def _ranked(scores: np.ndarray, name: str) -> np.ndarray:
    """``scores`` in ascending order; what is sorted already is not sorted again."""
    scores = np.asarray(scores)
    if scores.ndim != 1 or len(scores) == 0:
        raise ValueError(f"{name} has shape {scores.shape}: need [N >= 1]")
    if np.isnan(scores).any():
        raise ValueError(f"{name} holds NaN")
    return scores if bool(np.all(scores[:-1] <= scores[1:])) else np.sort(scores)
