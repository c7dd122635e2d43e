"""What the last digits of computed numbers decide: on another processor sums come out another way, in the last digits.

A metric that is a mean moves by as little. One that ranks items may not: where a hundred items are as uncertain as each
other, their last digits are their order. Both ends of what any such order gives are computed here, to hold a stored
number against.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from leaderboard.calibration import SCALINGS
from leaderboard.metrics.registry import METRICS, SCALED, calibrated
from leaderboard.predictions import AnyPredictions, Categorical
from leaderboard.scoring import OOD_GROUPS, ood_scores

ALIKE = 1e-9
"""Numbers are stored with ten digits: relative difference of two that may be one, rounded."""
NOTHING = 1e-12
"""What remains of a difference of numbers near 1, where it should be 0."""
Sets = Mapping[str, AnyPredictions]


def agree(stored: float, computed: float) -> bool:
    """Whether two numbers are one but for their last digits; NaN agrees with NaN."""
    if math.isnan(stored) or math.isnan(computed):
        return math.isnan(stored) and math.isnan(computed)
    return math.isclose(stored, computed, rel_tol=ALIKE, abs_tol=NOTHING)


def possible(stored: float, sets: Sets, name: str, key: str) -> bool:
    """Whether ``stored`` is what the metric ``key`` of the set ``name`` can be of these predictions in some order of
    items that only last digits tell apart; False where the metric ranks nothing."""
    members = [one for one in sets if name in (one, _group(one))]
    found = [_ends(sets, one, key) for one in members]
    if not found or None in found:
        return False
    low, high = np.mean(np.array(found, dtype=np.float64), axis=0)
    return low <= stored <= high or agree(stored, float(low)) or agree(stored, float(high))


def _group(name: str) -> str:
    """The mean that a set is part of: ``ood_near/glyphs`` -> ood_near, ``shift/fog/5`` -> shift/5."""
    first, _, rest = name.partition("/")
    return first if first in OOD_GROUPS else f"{first}/{rest.rpartition('/')[2]}"


def _ends(sets: Sets, name: str, key: str) -> tuple[float, float] | None:
    """The metric with every near tie broken one way, and the other way; None where it ranks nothing."""
    validation = sets.get("validation")
    factor = None if validation is None else SCALINGS[validation.kind].fit(validation)
    if factor is not None and math.isnan(factor):
        factor = None
    if name.split("/")[0] in OOD_GROUPS:
        return _of_detection(sets["test"], sets[name], key, factor)
    base, after = calibrated(key)
    one = sets[name]
    if base in ("aurc", "augrc") and after == SCALED and isinstance(one, Categorical) and factor is not None:
        return _of_selection(SCALINGS[one.kind].apply(one, factor), base)
    return None


def _of_detection(
    test: AnyPredictions, foreign: AnyPredictions, key: str, factor: float | None
) -> tuple[float, float] | None:
    for name, entry in METRICS["ood"].items():
        score = key.removeprefix(f"{name}_")
        inside, outside = (ood_scores(one, factor).get(score) for one in (test, foreign))
        if score != key and inside is not None and outside is not None:
            step = ALIKE * max(1.0, float(np.abs(inside).max()))
            first, second = (entry.function(inside + one, outside) for one in (-step, step))
            return min(first, second), max(first, second)
    return None


def _of_selection(changed: AnyPredictions, base: str) -> tuple[float, float]:
    assert isinstance(changed, Categorical) and changed.labels is not None
    log_probs = np.asarray(changed.log_probs, dtype=np.float64)
    wrong = np.argmax(log_probs, axis=1) != changed.labels
    function = METRICS["categorical"][base].function
    moved = (log_probs + one * wrong[:, None] for one in (-ALIKE, ALIKE))
    first, second = (float(function(one, changed.labels, check=False)) for one in moved)
    return min(first, second), max(first, second)
