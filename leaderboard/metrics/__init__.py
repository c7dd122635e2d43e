"""Every metric, from stored predictions alone.

Conventions, the same for every function:

- ``log_probs``: [N, C], natural log of the predictive probabilities; -inf is probability 0. ``labels``: [N] integers.
- ``mean``, ``variance``: [N], of a Gaussian prediction of a number, in units of the target. ``labels``: [N] numbers.
- What is computed is float64, whatever the input. Ties never make a result depend on the order of the rows.
- Input that has no answer is refused with a ValueError of one line: an empty set, NaN, rows that are no distribution,
  labels outside [0, C). So NaN is never a result here. Infinity may be one: the NLL of a true class of probability 0.
- ``check=False`` leaves that examination out, for input that passed `leaderboard.predictions.checked` before.
- OOD functions take one score per image, [N_id] and [N_ood]; high means "unlike the training data", OOD is positive.
- The entry beside each function (`leaderboard.metrics.registry`) says its title, unit, range and which way is better.
"""

from leaderboard.metrics import regression
from leaderboard.metrics.calibration import (
    ece,
    ece_debiased,
    ece_equal_mass,
    equal_mass_edges,
    equal_width_edges,
)
from leaderboard.metrics.classification import (
    accuracy,
    brier,
    brier_per_item,
    confidence_and_correct,
    nll,
    nll_per_item,
)
from leaderboard.metrics.ood import aupr_in, aupr_out, auroc, fpr95
from leaderboard.metrics.registry import METRICS, OOD_SCORES, Metric, OodScore, find
from leaderboard.metrics.selective import aurc, selective_risk
from leaderboard.metrics.uncertainty import entropy, max_probability, mutual_information

__all__ = [
    "METRICS",
    "OOD_SCORES",
    "Metric",
    "OodScore",
    "accuracy",
    "aupr_in",
    "aupr_out",
    "auroc",
    "aurc",
    "brier",
    "brier_per_item",
    "confidence_and_correct",
    "ece",
    "ece_debiased",
    "ece_equal_mass",
    "entropy",
    "equal_mass_edges",
    "equal_width_edges",
    "find",
    "fpr95",
    "max_probability",
    "mutual_information",
    "nll",
    "nll_per_item",
    "regression",
    "selective_risk",
]
