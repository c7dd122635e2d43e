"""Whether a score tells out-of-distribution items from those of the test set: one score per item, high is foreign."""

from __future__ import annotations

import numpy as np

from leaderboard.metrics.registry import metric


@metric("ood", "AUROC", better="higher", range=(0, 1))
def auroc(id_scores: np.ndarray, ood_scores: np.ndarray) -> float:
    """Probability that an OOD image scores above an in-distribution one; ties count half. Chance is 0.5.

    Formula: P(s_ood > s_id) + P(s_ood = s_id) / 2
    Source: Hendrycks & Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples", ICLR 2017
    """
    inside, outside = _ranked(id_scores, "id_scores"), _ranked(ood_scores, "ood_scores")
    below = np.searchsorted(inside, outside, "left") + np.searchsorted(inside, outside, "right")
    return float(np.mean(below)) / (2 * len(inside))


@metric("ood", "AUPR, in", better="higher", range=(0, 1))
def aupr_in(id_scores: np.ndarray, ood_scores: np.ndarray) -> float:
    """Average precision with in-distribution as the positive class (a low score detects it).

    Chance is the share of in-distribution images.

    Formula: as aupr_out with the classes exchanged and the scores negated
    Source: Hendrycks & Gimpel, ICLR 2017; Davis & Goadrich, ICML 2006, for the steps
    """
    inside, outside = _ranked(id_scores, "id_scores"), _ranked(ood_scores, "ood_scores")
    ends = np.flatnonzero(np.r_[inside[1:] != inside[:-1], True]) + 1
    true = np.repeat(ends, np.diff(ends, prepend=0))  # how many inside are at most as high as each inside
    # How many outside are: each counts from the first inside that is not below it. Much faster than to search for each.
    first = np.searchsorted(inside, outside, "left")
    false = np.cumsum(np.bincount(first, minlength=len(inside) + 1))[:-1]
    return float(np.mean(true / (true + false)))


@metric("ood", "AUPR, out", better="higher", range=(0, 1))
def aupr_out(id_scores: np.ndarray, ood_scores: np.ndarray) -> float:
    """Average precision with OOD as the positive class: mean over OOD images of the precision at their score.

    Linear interpolation between thresholds, as some benchmarks do, gives slightly other numbers. Chance is the
    share of OOD images.

    Formula: sum_t (recall_t - recall_{t-1}) precision_t over distinct scores t
    Source: Hendrycks & Gimpel, ICLR 2017; Davis & Goadrich, ICML 2006, for the steps
    """
    inside, outside = _ranked(id_scores, "id_scores"), _ranked(ood_scores, "ood_scores")
    starts = np.flatnonzero(np.r_[True, outside[1:] != outside[:-1]])
    true = len(outside) - np.repeat(starts, np.diff(starts, append=len(outside)))
    false = len(inside) - np.searchsorted(inside, outside, "left")
    return float(np.mean(true / (true + false)))


@metric("ood", "FPR at 95 % TPR", better="lower", range=(0, 1))
def fpr95(id_scores: np.ndarray, ood_scores: np.ndarray) -> float:
    """Share of in-distribution images called OOD at the highest threshold that finds at least 95 % of the OOD images.

    OOD is positive, as in OpenOOD 1.5; papers that follow ODIN exchange the classes and get other numbers.

    Formula: mean 1[s_id >= t], t the largest score with mean 1[s_ood >= t] >= 0.95
    Source: Hendrycks, Mazeika & Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019
    """
    inside, outside = _ranked(id_scores, "id_scores"), _ranked(ood_scores, "ood_scores")
    found = -(-95 * len(outside) // 100)  # the ceiling, in integers
    return float(len(inside) - np.searchsorted(inside, outside[-found], "left")) / len(inside)


def _ranked(scores: np.ndarray, name: str) -> np.ndarray:
    """``scores`` in ascending order; what is sorted already is not sorted again."""
    scores = np.asarray(scores)
    if scores.ndim != 1 or len(scores) == 0:
        raise ValueError(f"{name} has shape {scores.shape}: need [N >= 1]")
    if np.isnan(scores).any():
        raise ValueError(f"{name} holds NaN")
    return scores if bool(np.all(scores[:-1] <= scores[1:])) else np.sort(scores)
