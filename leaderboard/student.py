"""Student's t and its noncentral form for whole degrees of freedom: what a table needs of them.

In place of SciPy, whose import alone takes longer than reading and showing a table; the tests compare with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np


def two_sided(degrees: int, t: np.ndarray | float) -> np.ndarray:
    """P(|T| >= |t|) of Student's t with ``degrees`` >= 1 of freedom, for each of ``t``; NaN for NaN.

    Formula: I_x(degrees / 2, 1 / 2) with x = degrees / (degrees + t²), by its continued fraction on the side where that
    converges fast. Source: Abramowitz & Stegun 26.5.27; Digital Library of Mathematical Functions 8.17.22.
    """
    a, square = degrees / 2.0, np.square(np.asarray(t, dtype=np.float64))
    with np.errstate(invalid="ignore"):  # infinite t: 0 below
        x, y = degrees / (degrees + square), square / (degrees + square)
    is_near = x > (a + 1.0) / (a + 2.5)
    first, second = np.where(is_near, 0.5, a), np.where(is_near, a, 0.5)
    scale = _inverse_beta(degrees) * np.exp(-a * np.log1p(square / degrees)) * np.sqrt(y)
    part = scale / (first * _fraction(first, second, np.where(is_near, y, x), 40 + int(4.0 * math.sqrt(a))))
    return np.where(np.isinf(square), 0.0, np.where(is_near, 1.0 - part, part))


@lru_cache(maxsize=1024)
def half_width(degrees: int, level: float) -> float:
    """The t that P(|T| <= t) = ``level``, in [0, 1), belongs to: half the width of an interval, in standard errors."""
    low, high = 0.0, 1.0
    while two_sided(degrees, high) > 1.0 - level:
        low, high = high, 2.0 * high
    return _crossing(low, high, lambda t: bool(two_sided(degrees, t) <= 1.0 - level))


@lru_cache(maxsize=1024)
def detectable_shift(degrees: int, level: float, power: float) -> float:
    """The noncentrality at which noncentral t exceeds ``half_width(degrees, level)`` with probability ``power``."""
    critical = half_width(degrees, level)
    return _crossing(0.0, 2.0 * critical + 5.0, lambda shift: exceeds(degrees, shift, critical) > power)


def exceeds(degrees: int, shift: float, t: float) -> float:
    """P(T > t) of noncentral t: (Z + shift) / sqrt(V / degrees), Z standard normal, V chi-squared; t >= 0.

    Formula: the mean of Phi(shift - t exp(v)) over v = log sqrt(V / degrees), whose density is proportional to
    exp(degrees (v - exp(2 v) / 2)): smooth and vanishing at both ends, where the trapezoidal rule is exact to rounding.
    """
    step = min(0.0625, 0.2 / math.sqrt(degrees), 0.2 / max(shift, 1.0))  # a fraction of the sharpest feature
    v = np.arange(-40.0 / degrees - 0.5, math.sqrt(40.0 / degrees), step)
    weights = np.exp(degrees * (v + 0.5 - np.exp(2.0 * v) / 2.0))
    z = (t * np.exp(v) - shift) / math.sqrt(2.0)
    return float(weights @ [0.5 * math.erfc(one) for one in z.tolist()] / weights.sum())


def _crossing(low: float, high: float, is_above: Callable[[float], bool]) -> float:
    """Where ``is_above`` becomes true between the two, to the last bit."""
    while low < (middle := (low + high) / 2.0) < high:
        low, high = (low, middle) if is_above(middle) else (middle, high)
    return high


def _fraction(a: np.ndarray, b: np.ndarray, x: np.ndarray, terms: int) -> np.ndarray:
    """The continued fraction of the incomplete beta function, its last terms first."""
    m = np.arange(terms + 1).reshape(-1, *[1] * np.ndim(x))
    odd = (a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1)) * x
    even = m[1:] * (b - m[1:]) / ((a + 2 * m[1:] - 1) * (a + 2 * m[1:])) * x
    value = np.ones_like(x)
    for above, below in zip(odd[:0:-1], even[::-1], strict=True):
        value = 1.0 + below / (1.0 - above / value)
    return 1.0 - odd[0] / value


@lru_cache(maxsize=1024)
def _inverse_beta(degrees: int) -> float:
    """1 / B(degrees / 2, 1 / 2), as a product: differences of logarithms of gamma lose digits."""
    ratio, start = (1.0 / math.sqrt(math.pi), 1) if degrees % 2 else (math.sqrt(math.pi) / 2.0, 2)
    for k in range(start, degrees, 2):
        ratio *= (k + 1) / k
    return ratio / math.sqrt(math.pi)
