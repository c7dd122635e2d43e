"""Cost against quality: which methods are corners of the front, and which point is too bad to be drawn to scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from leaderboard.statistics import FEW, LEVEL, holm, paired_p


def corners(values: Mapping[str, Mapping[int, float]], costs: Mapping[str, Sequence[float]]) -> list[str]:
    """The corners of the Pareto front, the cheapest first; low is good. [] where nothing is told apart.

    From the cheapest on, a method is a corner if its quality is told to be better than the last corner's; one whose
    cost is not told to be higher takes that corner's place. So no corner is there for a difference that nobody can
    show, and methods that are no corner may still be as good as one. Quality is told by paired t tests over more than
    `FEW` common seeds, corrected by Holm for all pairs; cost where the ranges over seeds or rounds do not overlap.

    Args:
        values: by method, the metric by seed.
        costs: by method, the cost of each seed or round.
    """
    better = _told_better(values)
    order = sorted(values, key=lambda name: (float(np.mean(costs[name])), name))
    if not better:
        return []
    front: list[str] = []
    for name in order:
        if front and (name, front[-1]) not in better:
            continue
        while front and min(costs[name]) <= max(costs[front[-1]]) and (name, front[-1]) in better:
            front.pop()
        front.append(name)
    return front


def _told_better(values: Mapping[str, Mapping[int, float]]) -> set[tuple[str, str]]:
    """Pairs of which the first is told to be lower than the second."""
    pairs = [
        pair for pair in combinations(sorted(values), 2) if len(values[pair[0]].keys() & values[pair[1]].keys()) > FEW
    ]
    tested = [(pair, p) for pair in pairs if not np.isnan(p := paired_p(values[pair[0]], values[pair[1]]))]
    adjusted = holm([p for _, p in tested])
    told = set()
    for ((a, b), _), p in zip(tested, adjusted, strict=True):
        if p < 1.0 - LEVEL:
            common = values[a].keys() & values[b].keys()
            is_lower = np.mean([values[a][seed] - values[b][seed] for seed in common]) < 0.0
            told.add((a, b) if is_lower else (b, a))
    return told


def beyond(means: Mapping[str, float]) -> set[str]:
    """Methods so much worse than the others (high is bad) that drawing them to scale would squeeze those.

    These are all above the first gap that is wider than the span of what lies below it: half of the methods, and three,
    at least. NaN and infinity are beyond every scale.
    """
    out = {name for name, mean in means.items() if not np.isfinite(mean)}
    shown = sorted((mean, name) for name, mean in means.items() if name not in out)
    for kept in range(max(3, -(-len(shown) // 2)), len(shown)):
        if shown[kept][0] - shown[kept - 1][0] > shown[kept - 1][0] - shown[0][0] > 0.0:
            return out | {name for _, name in shown[kept:]}
    return out
