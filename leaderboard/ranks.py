"""Ranks of methods over tasks: which stand apart when many tasks are looked at together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from leaderboard.pairs import LEVEL

if TYPE_CHECKING:
    import pandas as pd


class Ranks(NamedTuple):
    """Average ranks over tasks (1 is best), and how far apart two must lie to differ.

    Attributes:
        average: average rank by method, best first.
        critical_difference: of the Nemenyi test at 95 %: two averages closer than this are not distinguishable.
        friedman_p: of the hypothesis that all methods are alike; where it is above 0.05 no difference counts.
        tasks: how many tasks.
        groups: the largest sets of methods in which no two differ, best first; sets of one are left out.
    """

    average: dict[str, float]
    critical_difference: float
    friedman_p: float
    tasks: int
    groups: list[tuple[str, ...]]


def average_ranks(table: pd.DataFrame, better: str) -> Ranks:
    """Average ranks of methods over tasks, with the Friedman test and the Nemenyi critical difference.

    Ranks within a task, ties share their mean rank. CD = q_0.05 sqrt(k (k + 1) / (6 N)) for k methods and N tasks, q of
    the studentized range with infinite degrees of freedom, divided by sqrt 2. Ranks depend on which methods are in the
    table. Source: Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 2006.

    Args:
        table: rows are tasks, columns are methods, cells the mean of the metric.
        better: "higher" or "lower".

    Raises:
        ValueError: fewer than two tasks or methods, a NaN cell, another direction.
    """
    from scipy.special import chdtrc
    from scipy.stats import rankdata, studentized_range

    if better not in ("higher", "lower"):
        raise ValueError(f"better is {better!r}: need 'higher' or 'lower'")
    cells = table.to_numpy(dtype=np.float64)
    tasks, methods = cells.shape
    if tasks < 2 or methods < 2:
        raise ValueError(f"ranks need two tasks and two methods at least, not {tasks} and {methods}")
    if np.isnan(cells).any():
        raise ValueError("a method has no value on a task, so it has no rank there: leave out the method or the task")
    ranks = rankdata(cells if better == "lower" else -cells, axis=1)
    average = ranks.mean(axis=0)
    # The form with ties: without them it is 12 N / (k (k + 1)) (sum R_j^2 - k (k + 1)^2 / 4).
    spread = float(np.sum((ranks - (methods + 1) / 2) ** 2)) / (tasks * (methods - 1))
    statistic = tasks * float(np.sum((average - (methods + 1) / 2) ** 2)) / spread if spread else 0.0
    critical = float(studentized_range.ppf(LEVEL, methods, np.inf)) / np.sqrt(2)
    critical *= np.sqrt(methods * (methods + 1) / (6 * tasks))
    order = np.argsort(average, kind="stable")
    by_name = {str(table.columns[i]): float(average[i]) for i in order}
    return Ranks(by_name, float(critical), float(chdtrc(methods - 1, statistic)), tasks, _groups(by_name, critical))


def _groups(average: Mapping[str, float], critical: float) -> list[tuple[str, ...]]:
    """Largest runs of methods, in rank order, whose ends are less than ``critical`` apart."""
    names, values = list(average), list(average.values())
    groups, reached = [], 0
    for first in range(len(names)):
        last = max(i for i in range(len(names)) if values[i] - values[first] < critical)
        if last > first and last > reached:
            groups.append(tuple(names[first : last + 1]))
            reached = last
    return groups
