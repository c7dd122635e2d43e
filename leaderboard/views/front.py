"""Cost against quality: the corners of the front, and what the axis is fitted to; as on the board's page."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import numpy as np

from leaderboard.statistics import FEW, LEVEL, Interval, holm, paired_p


def corners(
    values: Mapping[str, Mapping[int, float]], costs: Mapping[str, Sequence[float]], at_chance: Collection[str] = ()
) -> list[str]:
    """The corners of the Pareto front, the cheapest first; low is good. [] where nothing is told apart.

    From the cheapest on, a method is a corner if its quality is told to be better than the last corner's; one whose
    cost is not told to be higher takes that corner's place. So no corner is there for a difference that nobody can
    show, and methods that are no corner may still be as good as one. Quality is told by paired t tests over more than
    `FEW` common seeds, corrected by Holm for all pairs; cost where the ranges over seeds or rounds do not overlap.
    A method with a seed at chance has not trained: it is no corner, however cheap, and no pair with it is tested.

    Args:
        values: by method, the metric by seed.
        costs: by method, the cost of each seed or round.
        at_chance: methods with a seed that is no better than chance (`leaderboard.rows.is_at_chance`).
    """
    values = {name: by_seed for name, by_seed in values.items() if name not in at_chance}
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


def told(front: Sequence[str], at_chance: Collection[str] = ()) -> str:
    """What a reader should know of the line that joins the corners ``front``."""
    line = "Line: front; each corner is told to be better than the one before (paired t, Holm) and dearer each time."
    if len(front) == 1:
        line = f"No front: no dearer method is told to be better than {front[0]}."
    if not front:
        line = "No front: these seeds tell no two methods apart."
    if at_chance:
        line += f" No better than chance in some seeds, so no corner: {', '.join(sorted(at_chance))}."
    return line


def beyond(means: Mapping[str, float], at_chance: Collection[str] = ()) -> set[str]:
    """Methods that the axis is not fitted to: they have not trained, or would squeeze the others (high is bad).

    The first are those at chance, unless all are. The second are above the first gap that is wider than the span of
    what lies below it: half of the methods, and three, at least. NaN and infinity are beyond every scale.
    """
    finite = {name: mean for name, mean in means.items() if np.isfinite(mean)}
    trained = {name: mean for name, mean in finite.items() if name not in at_chance} or finite
    shown = sorted((mean, name) for name, mean in trained.items())
    kept = len(shown)
    for i in range(max(3, -(-len(shown) // 2)), len(shown)):
        if shown[i][0] - shown[i - 1][0] > shown[i - 1][0] - shown[0][0] > 0.0:
            kept = i
            break
    return set(means) - {name for _, name in shown[:kept]}


def limits(fitted: Sequence[Interval]) -> tuple[float, float]:
    """Limits of the axis: all means of ``fitted``, and of their intervals what is within 3/4 of the means' span.

    There is more room above, on the bad side, where what lies beyond has its arrows.
    """
    means = [one.mean for one in fitted] or [0.0]
    span = max(means) - min(means) or abs(means[0]) or 1.0
    ends = [end for one in fitted for end in (one.low, one.high) if np.isfinite(end)]
    low = max(min([*ends, *means]), min(means) - 0.75 * span) - 0.1 * span
    return low, min(max([*ends, *means]), max(means) + 0.75 * span) + 0.22 * span


def edge(mean: float, axis: tuple[float, float]) -> int:
    """Where a point is that the ``axis`` does not reach: 1: its upper edge, as NaN is; -1: the lower; 0: within."""
    low, high = axis
    return -1 if mean < low else 0 if mean <= high else 1
