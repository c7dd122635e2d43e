"""Whether what was submitted and what was made here can be of one method: bits, a tolerance, fresh seeds. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leaderboard.record import Environment
from leaderboard.scoring import better

Column = tuple[str, str]
Values = Mapping[Column, float]
MAIN = ("test", "nll")
LOOKS = (3, 5, 10)
"""Fresh seeds after which a claim is looked at; from the second on only one in doubt is."""
REFUTED_BELOW = (0.0005, 0.002, 0.005)
"""One-sided p of Welch's test at each look below which a claim in the main column is refuted."""
GOES_ON_BELOW = (0.3, 0.15)
"""p below which more seeds are made."""
SHARE = 0.2
"""Of these levels, for each column but the main one."""
OUTSIDE = 0.002
"""How often an honest re-run on another machine may be outside of the tolerance, a column."""
FLOOR = 0.1
"""Least part of the spread between seeds that another machine is allowed."""


def differing(theirs: Environment, ours: Environment) -> list[str]:
    """What may decide bits and is not the same: where it is empty, equal runs agree to the last bit."""
    places = ("code", "capability", "threads", "ranks", "cpu")
    found = [name for name in places if getattr(theirs, name) != getattr(ours, name)]
    packages = ("torch", "torchvision", "timm", "numpy", "laplace-torch")
    return found + [name for name in packages if theirs.packages.get(name) != ours.packages.get(name)]


@dataclass(frozen=True)
class Tolerance:
    """How far a seed made on another machine may be off in one column, and what that follows from.

    Attributes:
        value: in the column's units.
        moved: root mean square difference of MAP of the same seeds, theirs and ours.
        part: of the difference between two seeds that this is; `FLOOR` at least, 1 at most.
        spread: standard deviation of the method between seeds.
        step: by which a share of examples may differ at least; 0 of other columns.
    """

    value: float
    moved: float
    part: float
    spread: float
    step: float


def tolerance(theirs: Sequence[float], ours: Sequence[float], method: Sequence[float], step: float = 0.0) -> Tolerance:
    """From MAP of the same seeds on both machines, and the method's values of several seeds.

    Rounding that differs grows while training, at most until a run is as far off as one of another seed: that is the
    measure. What part of it MAP of these machines reaches, the method may reach too; t_{1 - OUTSIDE/2} times that, with
    as many degrees of freedom as there are pairs. A share of examples is known to half a step only: that error, of each
    of the two values compared, is added in quadrature, with the normal quantile since it need not be estimated. Without
    it seeds that are alike by chance would allow nothing, where one example at the border may change sides.

    Args:
        theirs: [n], MAP as submitted.
        ours: [n], MAP of the same seeds made here.
        method: [m >= 2], of the method, other seeds each.
        step: as `step_of` gives it.
    """
    from scipy.stats import norm, t

    a, b = np.asarray(theirs), np.asarray(ours)
    moved = float(np.sqrt(np.mean((a - b) ** 2))) if len(a) else math.nan
    apart = math.sqrt(2) * float(np.std(a, ddof=1)) if len(a) > 1 else 0.0
    part = min(1.0, max(FLOOR, moved / apart)) if apart > 0 else 1.0
    spread = float(np.std(method, ddof=1))
    factor = float(t.ppf(1 - OUTSIDE / 2, max(1, min(len(a), len(method) - 1))))
    rounding = float(norm.ppf(1 - OUTSIDE / 2)) * math.sqrt(2) * step / 2
    return Tolerance(math.hypot(factor * part * math.sqrt(2) * spread, rounding), moved, part, spread, step)


def step_of(column: Column, size: int) -> float:
    """The steps in which the values of a column come, that is a share of ``size`` examples; 0 where there are none."""
    return 0.0 if column[1] in ("nll", "rmse") else 1.0 / size


def p_too_good(claimed: Sequence[float], fresh: Sequence[float], column: Column, size: int) -> float:
    """One-sided p of Welch's t test that the claimed seeds are no better than fresh ones; 1 where nothing can be said.

    Two claimed seeds are alike by chance too often to have a spread of their own: that of all is then taken for both,
    as in Student's test. Shares of ``size`` examples come in steps: half a step is added to each spread.
    """
    from scipy.stats import t

    s, f = np.asarray(claimed, dtype=float), np.asarray(fresh, dtype=float)
    if min(len(s), len(f)) < 2 or not (np.isfinite(s).all() and np.isfinite(f).all()):
        return 1.0 if np.isfinite(f).all() else 0.0
    half = step_of(column, size) / 2
    mine, theirs = (np.var(one, ddof=1) + half**2 for one in (s, f))
    pooled = (mine + (len(f) - 1) * theirs) / len(f) if len(s) == 2 else None
    a, b = (mine if pooled is None else pooled) / len(s), (theirs if pooled is None else pooled) / len(f)
    gain = (np.mean(s) - np.mean(f)) * (1.0 if better(column[1]) == "higher" else -1.0)
    if a + b == 0.0:
        return 0.0 if gain > 0 else 1.0
    degrees = len(f) if pooled is not None else (a + b) ** 2 / (a**2 / (len(s) - 1) + b**2 / (len(f) - 1))
    return float(t.sf(gain / math.sqrt(a + b), degrees))


@dataclass(frozen=True)
class Look:
    """What fresh seeds say so far: p by column; which columns are refuted; whether more seeds are to be made."""

    p: dict[Column, float]
    refuted: list[Column]
    goes_on: bool


def look(claimed: Sequence[Values], fresh: Sequence[Values], size: int) -> Look:
    """Compare the claimed seeds' values with the fresh ones', column by column.

    The levels are those of the last of `LOOKS` that the number of fresh seeds reaches.
    """
    columns = [one for one in fresh[0] if all(one in values for values in (*claimed, *fresh))]
    step = max(0, sum(len(fresh) >= one for one in LOOKS) - 1)
    p, refuted, doubtful = {}, [], False
    for column in columns:
        share = 1.0 if column == MAIN else SHARE
        p[column] = p_too_good([one[column] for one in claimed], [one[column] for one in fresh], column, size)
        refuted += [column] if p[column] < share * REFUTED_BELOW[step] else []
        doubtful |= step < len(GOES_ON_BELOW) and p[column] < share * GOES_ON_BELOW[step]
    return Look(p, refuted, doubtful and not refuted)
