"""What can be said beyond a mean: intervals, paired differences, ties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean with the bounds of its confidence interval; NaN bounds where one value says nothing about the spread."""

    mean: float
    low: float
    high: float


def t_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval:
    """Student's t interval of the mean over trainings (seeds), taken as independent and about normal.

    Formula: mean ± t_{n-1} sd / sqrt(n), sd with n - 1 in its denominator. One value: NaN bounds. A value that is NaN
    or infinite: the mean it gives, with NaN bounds.

    Args:
        values: [n], one metric of n trainings, n >= 1.
        level: how often such intervals hold the true mean.

    Raises:
        ValueError: no values.
    """
    from scipy.special import stdtrit

    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"values has shape {array.shape}: need [n >= 1]")
    if not np.all(np.isfinite(array)):
        # Opposite infinities have no mean.
        mean = float("nan") if np.isnan(array).any() or np.ptp(np.sign(array[np.isinf(array)])) else float(array.sum())
        return Interval(mean, float("nan"), float("nan"))
    mean = float(np.mean(array))
    if len(array) == 1:
        return Interval(mean, float("nan"), float("nan"))
    half = stdtrit(len(array) - 1, 0.5 + level / 2) * np.std(array, ddof=1) / np.sqrt(len(array))
    return Interval(mean, float(mean - half), float(mean + half))


def paired_difference(a: Mapping[int, float], b: Mapping[int, float], level: float = 0.95) -> Interval:
    """t interval of ``a - b`` over the seeds that both have: a seed shares initial weights, split and batch order.

    Args:
        a: metric by seed.
        b: metric by seed.
        level: as in `t_interval`.

    Raises:
        ValueError: no seed in common.
    """
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        raise ValueError("no seed in common, so no paired difference")
    return t_interval([a[seed] - b[seed] for seed in seeds], level)
