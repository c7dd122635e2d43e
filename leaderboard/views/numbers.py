"""Figures of predicted numbers (regression): calibration of quantiles, and predictions against what was true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from leaderboard.metrics import regression
from leaderboard.predictions import Gaussian
from leaderboard.views import style
from leaderboard.views.panels import panels

LEVELS = np.arange(1, 20) / 20
"""Of the quantiles that are drawn."""
MOST = 100
"""Items that a panel shows."""
Z = 1.959964


def quantiles(predictions: Mapping[str, Sequence[Gaussian]], path: Path, about: str) -> list[Path]:
    """Calibration of quantiles, a panel per method: each seed thin, all seeds pooled thick; below, where truth fell.

    The curve is the share of items below the predicted quantile of each level (Kuleshov et al., ICML 2018); the
    histogram is of the probability that each prediction gave to values below the true one, flat if calibrated.

    Args:
        predictions: by method, labelled predictions on the same set, one entry per seed.
        path: without suffix.
        about: see `style.page`.
    """

    def draw(name: str, axes: Sequence[Axes]) -> str:
        upper, lower = axes
        look, runs = style.look(name), predictions[name]
        below = [_below(one) for one in runs]
        upper.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=0.8, zorder=1)
        for one in below:
            upper.plot(LEVELS, [np.mean(one <= p) for p in LEVELS], color=look.colour, linewidth=0.5, alpha=0.6)
        pooled = np.concatenate(below)
        observed = [np.mean(pooled <= p) for p in LEVELS]
        upper.plot(LEVELS, observed, linewidth=1.5, markevery=3, clip_on=False, **look.marks())
        upper.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        share = 100 * np.histogram(pooled, bins=10, range=(0, 1))[0] / len(pooled)
        lower.bar(np.arange(10) / 10 + 0.05, share, 0.09, color="0.6")
        lower.set_xticks([0, 0.5, 1])
        lower.axhline(10, color="0.5", linestyle="--", linewidth=0.8)
        errors = [regression.quantile_calibration_error(one.mean, one.variance, _labels(one)) for one in runs]
        return f"quantile error {np.mean(errors):.3f}"

    handles = [
        Line2D([], [], color="0.5", linestyle="--", linewidth=0.8, label="perfect calibration"),
        Line2D([], [], color="0.2", linewidth=0.5, label="one seed"),
        Line2D([], [], color="0.2", linewidth=1.5, label="all seeds pooled"),
    ]
    ylabels = ("share below", "items, %")
    return panels(
        list(predictions), draw, path, about=about, ylabels=ylabels, xlabel="level of the quantile", handles=handles
    )


def against_true(predictions: Mapping[str, Sequence[Gaussian]], path: Path, about: str) -> list[Path]:
    """Predicted against true values with predictive 95 % intervals, of the first seed; at most `MOST` items.

    The line under each name has the means over all seeds.

    Args:
        predictions: as of `quantiles`.
        path: without suffix.
        about: see `style.page`.
    """

    def draw(name: str, axes: Sequence[Axes]) -> str:
        (one,) = axes
        look, runs = style.look(name), predictions[name]
        shown, labels = runs[0], _labels(runs[0])
        chosen = np.argsort(labels, kind="stable")[np.unique(np.linspace(0, len(labels) - 1, MOST).astype(int))]
        true, mean, half = labels[chosen], shown.mean[chosen], Z * np.sqrt(shown.variance[chosen])
        is_covered = np.abs(true - mean) <= half
        one.axline((float(true[0]), float(true[0])), slope=1, color="0.5", linestyle="--", linewidth=0.8, zorder=1)
        one.vlines(true, mean - half, mean + half, color=look.colour, linewidth=0.5, alpha=0.5)
        one.plot(true[is_covered], mean[is_covered], "o", color=look.colour, markersize=1.8)
        one.plot(true[~is_covered], mean[~is_covered], "x", color="black", markersize=3.5, zorder=3)
        sizes = [regression.rmse(run.mean, _labels(run)) for run in runs]
        covered = [regression.coverage_95(run.mean, run.variance, _labels(run)) for run in runs]
        return f"RMSE {np.mean(sizes):.4g}, covered {100 * np.mean(covered):.0f} %"

    count = len(_labels(next(iter(predictions.values()))[0]))
    handles = [
        Line2D([], [], color="0.2", marker="o", markersize=2, linewidth=0.5, label="95 % interval, truth within"),
        Line2D([], [], color="black", marker="x", markersize=3.5, linestyle="", label="truth outside"),
        Line2D([], [], color="0.5", linestyle="--", linewidth=0.8, label="predicted = true"),
    ]
    about = f"{about} · drawn: {min(count, MOST)} of {count} items of the first seed"
    return panels(
        list(predictions), draw, path, about=about, ylabels=("predicted",), xlabel="true", handles=handles, height=1.7
    )


def _below(one: Gaussian) -> np.ndarray:
    """[N]: the probability that each prediction gave to values below the true one."""
    from scipy.special import ndtr

    return ndtr(regression.standardized(one.mean, one.variance, _labels(one)))


def _labels(one: Gaussian) -> np.ndarray:
    if one.labels is None:
        raise ValueError("these predictions have no labels, which this figure needs")
    return one.labels
