"""Methods paired by seed: the error of their difference, its p, and the smallest one that could be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from leaderboard.student import detectable_shift, two_sided

LEVEL = 0.95
"""Of every interval and test."""
POWER = 0.8
"""How often a difference must be found to count as detectable."""


def p_values(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[pairs]: p of the paired t test of the rows of ``a`` and ``b``, [pairs, seeds], finite; 1 without any spread."""
    means, error = np.mean(a - b, axis=1), paired_errors(a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = two_sided(a.shape[1] - 1, means / error)
    return np.where(error == 0.0, 1.0, p)


def paired_errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[pairs]: standard errors of the means of ``a - b``, [pairs, seeds], seeds >= 2.

    Where a pair differs by the same amount on every seed the error is the unpaired one: see `paired_difference`.
    """
    differences = a - b
    rounding = 1e-9 * np.maximum(np.abs(a), np.abs(b)).max(axis=1)  # stored numbers have ten digits
    alike = np.ptp(differences, axis=1) <= rounding
    equal = np.abs(differences).max(axis=1) == 0.0
    flat = np.ptp(a, axis=1) + np.ptp(b, axis=1) <= rounding  # a variance of equal numbers need not be quite 0
    unpaired = np.where(equal | flat, 0.0, np.var(a, axis=1, ddof=1) + np.var(b, axis=1, ddof=1))
    return np.sqrt(np.where(alike, unpaired, np.var(differences, axis=1, ddof=1)) / a.shape[1])


def common_seeds(a: Mapping[int, float], b: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """The values of the seeds that both have; a ValueError where there are none."""
    if not a.keys() & b.keys():
        raise ValueError("no seed in common, so no paired difference")
    return _values(a, b)


def blocks(
    values: Mapping[str, Mapping[int, float]], pairs: Sequence[tuple[str, str]]
) -> Iterator[tuple[list[int], np.ndarray, np.ndarray]]:
    """What the ``pairs`` measured on their common seeds: places of pairs, and two arrays of [those pairs, seeds].

    A block holds all pairs with the same common seeds, so that they are computed at once.
    """
    seeds = {name: frozenset(values[name]) for name in dict.fromkeys(name for pair in pairs for name in pair)}
    found: dict[frozenset[int], list[int]] = {}
    for place, (a, b) in enumerate(pairs):
        found.setdefault(seeds[a] & seeds[b], []).append(place)
    for common, places in found.items():
        order = sorted(common)
        names = dict.fromkeys(name for place in places for name in pairs[place])
        row = {name: i for i, name in enumerate(names)}
        table = np.array([[values[name][seed] for seed in order] for name in names], np.float64)
        yield places, table[[row[pairs[i][0]] for i in places]], table[[row[pairs[i][1]] for i in places]]


def _values(a: Mapping[int, float], b: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """The values of the seeds that both have, in the same order."""
    seeds = sorted(a.keys() & b.keys())
    return np.array([a[seed] for seed in seeds], np.float64), np.array([b[seed] for seed in seeds], np.float64)


def detectable_difference(values: Mapping[str, Mapping[int, float]]) -> float:
    """The smallest true difference of two methods that a paired t test on these seeds finds with probability 0.8.

    The test is two-sided at 5 %, on one pair; the marks of a table, corrected for all pairs, need more. The spread is
    that of paired differences, its square averaged over all pairs of methods with two common seeds at least, each
    weighing its degrees of freedom; the number of seeds is the least that any of these pairs has in common. Methods
    with a value that is NaN or infinite are left out. NaN where there is no pair.

    Formula: delta = lambda sd / sqrt(n), where a noncentral t variable of n - 1 degrees of freedom and noncentrality
    lambda exceeds t_{n-1, 0.975} with probability 0.8. At n = 3, 5, 10: 3.26, 1.68, 1.00 times sd.
    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988, chapter 2; Bloom, "Minimum Detectable
    Effects", Evaluation Review 1995.

    Args:
        values: by method, the metric by seed.
    """
    finite = {name: v for name, v in values.items() if v and np.isfinite(list(v.values())).all()}
    degrees, squares = [np.empty(0, int)], [np.empty(0)]
    for _, a, b in blocks(finite, list(combinations(finite, 2))):
        if (n := a.shape[1]) > 1:
            degrees.append(np.full(len(a), n - 1))
            squares.append(paired_errors(a, b) ** 2 * n)
    weights = np.concatenate(degrees)
    if not len(weights):
        return float("nan")
    n, spread = int(weights.min()) + 1, np.sqrt(np.average(np.concatenate(squares), weights=weights))
    return float(detectable_shift(n - 1, LEVEL, POWER) * spread / np.sqrt(n))
