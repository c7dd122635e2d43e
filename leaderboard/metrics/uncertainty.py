"""How uncertain a prediction says it is, item by item: reported as a mean, and used to tell foreign from known."""

from __future__ import annotations

import numpy as np

from leaderboard.arrays import by_rows, checked
from leaderboard.metrics.registry import NATS, metric, ood_score, shared

_LOWEST = -1e6  # stands for log 0 in 0 * log 0, which is 0


@ood_score("categorical", "maximum probability", scaled=True)
def max_probability(log_probs: np.ndarray) -> np.ndarray:
    """[N]: -log of the highest probability, which orders as 1 less it does and still tells apart what rounds to 1.

    Formula: -max_c log p_c
    Source: Hendrycks & Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples", ICLR 2017
    """
    return -np.max(log_probs, axis=1)


@ood_score("categorical", "entropy", scaled=True)
@metric("categorical", "entropy", better="", range=(0, np.inf), unit=NATS, per_item="itself")
@shared("total_entropy")
def entropy(log_probs: np.ndarray, *, check: bool = True) -> np.ndarray:
    """[N] float64: entropy of each predictive distribution in nats; 0 log 0 is 0.

    Neither high nor low is better: high is right where the image is ambiguous or foreign. At most log C.

    Formula: -sum_c p_c log p_c
    Source: Shannon, "A Mathematical Theory of Communication", 1948
    """
    if check:
        log_probs, _ = checked(log_probs)
    sums = by_rows(lambda rows: np.einsum("nc,nc->n", np.exp(rows), np.maximum(rows, _LOWEST)), log_probs)
    return np.maximum(-sums, 0.0)


@ood_score("categorical", "mutual information")
@metric("categorical", "mutual information", better="", range=(0, np.inf), unit=NATS, per_item="itself")
def mutual_information(
    log_probs: np.ndarray,
    expected_entropy: np.ndarray,
    *,
    check: bool = True,
    total_entropy: np.ndarray | None = None,
) -> np.ndarray:
    """[N] float64: information about the prediction in the choice of member, in nats; 0 for one member.

    Neither high nor low is better: high is right where the training data leave the answer open. At most log C.

    It is a difference of two rounded numbers, so what is within float32 rounding of 0 is set to 0: else a method of
    one member would be scored on its rounding errors.

    Args:
        log_probs: [N, C], log of the members' mean probability.
        expected_entropy: [N], mean over members of each one's predictive entropy, nats.
        check: whether to examine ``log_probs``.
        total_entropy: [N], what `entropy` gave for ``log_probs``, not to compute it again.

    Raises:
        ValueError: the mean of the entropies exceeds the entropy of the mean, which no members can give.

    Formula: H(mean_m p_m) - mean_m H(p_m)
    Source: Houlsby et al., "Bayesian Active Learning for Classification", 2011
    """
    total = entropy(log_probs, check=check) if total_entropy is None else total_entropy
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


@ood_score("categorical", "energy")
def energy(energy: np.ndarray) -> np.ndarray:
    """[N]: mean over members of the free energy of their logits; needs the logits, which are not stored beside it.

    Formula: mean_m -log sum_c exp(logit_mc)
    Source: Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020
    """
    return energy
