"""What can be said beyond a mean: intervals, paired differences, ties.

Two spreads, never mixed: over seeds (`t_interval`: would another training say the same?) and over test items
(`item_interval`: would another test set of this size?).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from leaderboard.pairs import LEVEL, blocks, common_seeds, detectable_difference, p_values, paired_errors
from leaderboard.ranks import Ranks, average_ranks
from leaderboard.student import half_width

__all__ = [
    "LEVEL",
    "Comparison",
    "Interval",
    "Ranks",
    "Told",
    "average_ranks",
    "compare",
    "detectable_difference",
    "holm",
    "item_interval",
    "paired_difference",
    "paired_p",
    "t_interval",
    "told_apart",
    "top_group",
]
FEW = 3
"""Up to so many seeds nothing is called best or worse: they tell only large differences apart."""


class Interval(NamedTuple):
    """A mean with the bounds of its confidence interval; NaN bounds where one value says nothing about the spread."""

    mean: float
    low: float
    high: float

    def clipped(self, low: float, high: float) -> Interval:
        """The same mean, with no bound outside [``low``, ``high``]: what the metric can be. Unknown bounds stay so."""
        return Interval(self.mean, *(bound if math.isnan(bound) else min(max(bound, low), high) for bound in self[1:]))


class Told(NamedTuple):
    """What a column may be marked with.

    Attributes:
        top: methods that cannot be told from the best one, which is first; empty where nothing may be said.
        worse: methods that are told to be worse than the best one.
        reason: why nothing may be said; empty where something is.
    """

    top: list[str]
    worse: list[str]
    reason: str


class Comparison(NamedTuple):
    """Two methods on one metric: ``difference`` is a less b over the seeds both have, ``p`` of a paired t test."""

    difference: Interval
    p: float
    seeds: int
    sentence: str


def t_interval(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Interval:
    """Student's t interval of the mean over trainings (seeds), taken as independent and about normal.

    Formula: mean ± t_{n-1} sd / sqrt(n), sd with n - 1 in its denominator. One value: NaN bounds. A value that is NaN
    or infinite: the mean it gives, with NaN bounds.

    Args:
        values: [n], one metric of n trainings, n >= 1.
        level: how often such intervals hold the true mean.

    Raises:
        ValueError: no values.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"values has shape {array.shape}: need [n >= 1]")
    if not np.isfinite(array).all():
        with np.errstate(invalid="ignore"):  # opposite infinities: their mean is NaN
            return Interval(float(np.mean(array)), float("nan"), float("nan"))
    n, mean = len(array), float(array.sum()) / len(array)
    if n == 1:
        return Interval(mean, float("nan"), float("nan"))
    residuals = array - mean  # np.std takes four times as long, and a table has thousands of intervals
    half = half_width(n - 1, level) * math.sqrt(float((residuals * residuals).sum()) / (n - 1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def paired_difference(a: Mapping[int, float], b: Mapping[int, float], level: float = LEVEL) -> Interval:
    """t interval of ``a - b`` over the seeds that both have: a seed shares initial weights, split and batch order.

    Shares of a few hundred images often differ by the same amount on every seed by chance, which says nothing about
    the spread of the difference. There the error is the unpaired one, sqrt((var a + var b) / n). Where no seed changes
    either number there is no spread to judge by: NaN bounds, as of one seed.

    Args:
        a: metric by seed.
        b: metric by seed.
        level: as in `t_interval`.

    Raises:
        ValueError: no seed in common.
    """
    mine, other = common_seeds(a, b)
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN
        differences = mine - other
    if len(differences) < 2 or not np.isfinite(differences).all():
        return t_interval(differences, level)
    mean = float(np.mean(differences))
    half = float(half_width(len(differences) - 1, level) * paired_errors(mine[None], other[None])[0])
    half = float("nan") if half == 0.0 and mean != 0.0 else half
    return Interval(mean, mean - half, mean + half)


def paired_p(a: Mapping[int, float], b: Mapping[int, float]) -> float:
    """Two-sided p of the paired t test over the seeds that both have; NaN for one seed or values not finite.

    Its error is that of `paired_difference`.

    Raises:
        ValueError: no seed in common.
    """
    mine, other = common_seeds(a, b)
    if len(mine) < 2 or not (np.isfinite(mine).all() and np.isfinite(other).all()):
        return float("nan")
    return float(p_values(mine[None], other[None])[0])


def compare(
    a: Mapping[int, float], b: Mapping[int, float], names: tuple[str, str], metric: str, better: str
) -> Comparison:
    """Method ``a`` against method ``b`` on one metric, with a plain sentence.

    Args:
        a: metric by seed.
        b: metric by seed.
        names: of the two methods.
        metric: its name, for the sentence.
        better: "higher", "lower", or another word where neither is better.

    Raises:
        ValueError: no seed in common.
    """
    difference, p = paired_difference(a, b), paired_p(a, b)
    seeds = len(a.keys() & b.keys())
    size = f"{abs(difference.mean):.4g}"
    bounds = f"95 % interval of the difference {difference.low:.4g} to {difference.high:.4g}, {seeds} seeds"
    is_higher = difference.mean > 0
    judgement = {"higher": "better" if is_higher else "worse", "lower": "worse" if is_higher else "better"}.get(better)
    direction = ("higher" if is_higher else "lower") + (f" ({judgement})" if judgement else "")
    if seeds == 1:
        sentence = f"{names[0]} less {names[1]} on {metric} is {difference.mean:.4g} on one seed: too few to judge."
    elif np.isnan(p):
        sentence = f"{names[0]} and {names[1]} cannot be compared on {metric}: a value is NaN or infinite."
    elif np.isnan(difference.low):
        sentence = (
            f"{names[0]} less {names[1]} on {metric} is {difference.mean:.4g}, and no seed of {seeds} changes either: "
            "there is no spread to judge it by."
        )
    elif p < 1.0 - LEVEL:
        sentence = f"{names[0]} has a {direction} {metric} than {names[1]} by {size} ({bounds})."
    else:
        sentence = f"{names[0]} and {names[1]} cannot be told apart on {metric} ({bounds})."
    return Comparison(difference, p, seeds, sentence)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """p-values adjusted for their number by Holm's step-down method (Scand. J. Statist. 1979); none may be NaN."""
    p = np.asarray(p_values, dtype=np.float64)
    if np.isnan(p).any():
        raise ValueError("p_values holds NaN")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


def top_group(values: Mapping[str, Mapping[int, float]], better: str) -> list[str]:
    """The methods that cannot be told from the best one at 95 %, the best first.

    Paired t tests over common seeds, corrected by Holm for *all* pairs: which one is best was seen in the same numbers,
    so that correcting only for the pairs with the best would call equal methods different too often (simulated with 12
    methods: in 14 % of tables, where 5 % are promised).
    Where two methods have fewer than two seeds in common nothing tells them apart. A method with a value that is NaN or
    infinite is not in the group.

    Args:
        values: by method, the metric by seed.
        better: "higher" or "lower".

    Raises:
        ValueError: another direction.
    """
    if better not in ("higher", "lower"):
        raise ValueError(f"better is {better!r}: need 'higher' or 'lower'")
    sign = 1.0 if better == "lower" else -1.0
    means = {name: sign * float(np.mean(list(by_seed.values()))) for name, by_seed in values.items() if by_seed}
    names = sorted((name for name, mean in means.items() if np.isfinite(mean)), key=lambda name: means[name])
    pairs = list(combinations(names, 2))
    raw = _pair_p_values(values, pairs)
    adjusted = dict(zip(pairs, holm(raw), strict=True))
    return [name for name in names if name == names[0] or adjusted[names[0], name] >= 1.0 - LEVEL]


def told_apart(values: Mapping[str, Mapping[int, float]], better: str) -> Told:
    """`top_group`, where there is anything to be said, and those that are told to be worse.

    Nothing is said of fewer than two methods, nor where a method has `FEW` seeds or fewer in common with the best one:
    there the group is everybody, which readers take for a result.

    Args:
        values: by method, the metric by seed; a method with a value that is NaN or infinite is not judged.
        better: "higher" or "lower".

    Raises:
        ValueError: another direction.
    """
    top = top_group(values, better)
    judged = [name for name, by_seed in values.items() if by_seed and np.isfinite(list(by_seed.values())).all()]
    if len(judged) < 2:
        return Told([], [], "nothing to compare: fewer than two methods have a finite value on every seed")
    common = min(len(values[name].keys() & values[top[0]].keys()) for name in judged)
    if common <= FEW:
        return Told([], [], f"{common} common seeds: more than {FEW} are needed to tell methods apart")
    return Told(top, [name for name in judged if name not in top], "")


def item_interval(
    a: np.ndarray, b: np.ndarray | None = None, *, level: float = LEVEL, draws: int = 2000, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval over test items of a metric that is a mean over items, or of a paired difference.

    Each draw takes as many items as there are, with replacement, and the same ones for ``a`` and ``b``. Several
    trainings are first averaged item by item, so the interval is that of their mean on another test set.
    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993.

    Args:
        a: [N] or [trainings, N], the metric of each item (`metrics.nll_per_item`, correctness as 0 and 1, ...).
        b: likewise of a second method on the same items; then the interval is that of the mean of ``a - b``.
        level: how often such intervals hold the truth.
        draws: how many resamples.
        seed: of the resampling, so that the same numbers give the same interval.

    Raises:
        ValueError: fewer than two items, items that do not match, NaN or infinity.
    """
    items = _item_means(a) if b is None else _item_means(a) - _item_means(b, len(_item_means(a)))
    rng = np.random.default_rng(seed)
    step = max(1, 2**20 // len(items))  # resamples at a time, to stay in the processor's cache
    means = np.concatenate(
        [
            items[rng.integers(0, len(items), (min(step, draws - start), len(items)), dtype=np.int32)].mean(axis=1)
            for start in range(0, draws, step)
        ]
    )
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(np.mean(items)), float(low), float(high))


def _pair_p_values(values: Mapping[str, Mapping[int, float]], pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
    """`paired_p` of each pair of finite values, 1 where fewer than two seeds are common."""
    p = np.ones(len(pairs))
    for places, a, b in blocks(values, pairs):
        if a.shape[1] > 1:
            p[places] = p_values(a, b)
    return p.tolist()


def _item_means(items: np.ndarray, expected: int | None = None) -> np.ndarray:
    """[N] float64: ``items`` averaged over trainings."""
    means = np.atleast_2d(np.asarray(items, dtype=np.float64)).mean(axis=0)
    if len(means) < 2 or (expected is not None and len(means) != expected):
        raise ValueError(f"items has {len(means)} entries: need {'two at least' if expected is None else expected}")
    if not np.all(np.isfinite(means)):
        raise ValueError("items holds NaN or infinity, so their mean has no bootstrap interval")
    return means
