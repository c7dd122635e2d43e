"""Which rows of a column are marked: the best group, and those told to be worse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from leaderboard.statistics import told_apart


class Marks(NamedTuple):
    """Names of rows: the best one, the best group, and those that were told to be worse."""

    best: str = ""
    top: frozenset[str] = frozenset()
    worse: frozenset[str] = frozenset()


def marks_of(values: Mapping[str, Mapping[int, float]], better: str, sources: set[str]) -> Marks:
    """The marks of one column; only the best mean where nothing, or too little, was tested.

    Where a row lies behind, by its mean, one that was told to be worse, it is not in the best group, even if so wide a
    spread tells it from nothing: bold would read as good.

    Args:
        values: by row, the number of each seed (alternated costs: round).
        better: "higher", "lower", or "" where neither is.
        sources: what the numbers are from; those of two measurements, or of "" (separate runs), are not tested.
    """
    if not better or len(values) < 2:
        return Marks()
    sign = -1 if better == "higher" else 1
    means = {name: sign * mean_of(found) for name, found in values.items()}
    finite = {name: mean for name, mean in means.items() if not math.isnan(mean)}
    best = min(finite, key=lambda name: finite[name], default="")
    if len(sources) > 1 or sources == {""}:
        return Marks(best)
    told = told_apart(values, better)
    limit = min((means[name] for name in told.worse), default=math.inf)
    return Marks(best, frozenset(name for name in told.top if means[name] < limit), frozenset(told.worse))


def mean_of(values: Mapping[int, float]) -> float:
    """Mean of finite numbers; NaN where there are none, or one of them is not finite."""
    return math.fsum(values.values()) / len(values) if values and all(map(math.isfinite, values.values())) else math.nan
