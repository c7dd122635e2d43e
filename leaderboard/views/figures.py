"""Figures of predicted classes; every function takes plain data and a path without suffix, and returns its files.

A method looks the same in all of them (`style.look`), and what is compared has the same axes and the same bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from leaderboard import metrics
from leaderboard.predictions import Categorical
from leaderboard.views import style
from leaderboard.views.curves import draw_lines
from leaderboard.views.panels import panels

OOD_BINS = 30


def reliability(predictions: Mapping[str, Sequence[Categorical]], path: Path, about: str, bins: int = 15) -> list[Path]:
    """Reliability diagrams, a panel per method: each seed thin, all seeds pooled thick; below, the items of each bin.

    Args:
        predictions: by method, labelled predictions on the same set, one entry per seed.
        path: without suffix.
        about: see `style.page`.
        bins: of equal width, the same for all.
    """

    def draw(name: str, axes: Sequence[Axes]) -> str:
        upper, lower = axes
        look, runs = style.look(name), predictions[name]
        sums = np.array([_bins(one, bins) for one in runs])
        upper.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=0.8, zorder=1)
        for count, confidence, hits in sums:
            some = count > 0
            upper.plot(confidence[some] / count[some], hits[some] / count[some], color=look.colour, lw=0.5, alpha=0.6)
        count, confidence, hits = sums.sum(axis=0)
        some = count > 0
        x, y = confidence[some] / count[some], hits[some] / count[some]
        upper.plot(x, y, linewidth=1.5, clip_on=False, **look.marks(2.5))
        upper.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        lower.bar((np.arange(bins) + 0.5) / bins, count / len(runs), 0.9 / bins, color="0.6")
        lower.set_yscale("log")
        lower.set(ylim=(0.5, None), xticks=[0, 0.5, 1])
        return f"ECE {np.mean([metrics.ece(one.log_probs, _labels(one), bins) for one in runs]):.3f}"

    handles = [
        Line2D([], [], color="0.5", linestyle="--", linewidth=0.8, label="perfect calibration"),
        Line2D([], [], color="0.2", linewidth=0.5, label="one seed"),
        Line2D([], [], color="0.2", linewidth=1.5, label="all seeds pooled"),
    ]
    names = list(predictions)
    return panels(names, draw, path, about=about, ylabels=("accuracy", "items"), xlabel="confidence", handles=handles)


def _bins(one: Categorical, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bin: how many items, the sum of their confidence, how many are right."""
    confidence, correct = metrics.confidence_and_correct(one.log_probs, _labels(one))
    index = np.searchsorted(metrics.equal_width_edges(bins), confidence, "left")
    count, sums, hits = (np.bincount(index, weights, bins) for weights in (None, confidence, correct))
    return count.astype(np.float64), sums, hits


def ood_histograms(
    scores: Mapping[str, Sequence[Mapping[str, np.ndarray]]], path: Path, about: str, label: str
) -> list[Path]:
    """Histograms of one OOD score on the test set and on OOD sets, a panel per method, all seeds of it pooled.

    All panels have the same bins: they span 99.6 % of all finite scores; the outermost two hold what lies beyond.

    Args:
        scores: by method, one entry per seed: set -> [N] scores, with the set "test" and the same OOD sets for all.
        path: without suffix.
        about: see `style.page`.
        label: of the score, with its unit.
    """
    every = np.concatenate([values for runs in scores.values() for sets in runs for values in sets.values()])
    low, high = np.quantile(every[np.isfinite(every)], [0.002, 0.998])
    edges = np.linspace(low, high if high > low else low + 1.0, OOD_BINS + 1)
    others = sorted(name for name in next(iter(scores.values()))[0] if name != "test")
    names = [other.removeprefix("ood_").replace("/", " ") for other in others]

    def draw(name: str, axes: Sequence[Axes]) -> str:
        (one,) = axes
        runs, colour = scores[name], style.look(name).colour
        one.stairs(_shares([sets["test"] for sets in runs], edges), edges, fill=True, color="0.75")
        for i, other in enumerate(others):
            shares, line = _shares([sets[other] for sets in runs], edges), style.LINES[i % len(style.LINES)]
            one.stairs(shares, edges, color=colour, linestyle=line, linewidth=1.0)
        areas = [np.mean([metrics.auroc(sets["test"], sets[other]) for sets in runs]) for other in others]
        return "AUROC " + " ".join(f"{area:.3f}".removeprefix("0") for area in areas)

    handles = [Patch(color="0.75", label="test")]
    handles += [
        Line2D([], [], color="0.2", linewidth=1.0, linestyle=style.LINES[i % len(style.LINES)], label=names[i])
        for i in range(len(others))
    ]
    about = f"{about} · AUROC of {', '.join(names)}, mean over seeds · the outer bins hold the tails"
    return panels(list(scores), draw, path, about=about, ylabels=("share of items",), xlabel=label, handles=handles)


def _shares(values: Sequence[np.ndarray], edges: np.ndarray) -> np.ndarray:
    pooled = np.concatenate(values)
    return np.histogram(np.clip(pooled, edges[0], edges[-1]), bins=edges)[0] / len(pooled)


def risk_coverage(predictions: Mapping[str, Sequence[Categorical]], path: Path, about: str) -> list[Path]:
    """Error among the most confident items against the share of items kept, a line per method, from 2 % on.

    Args:
        predictions: by method, labelled predictions on the same set, one entry per seed.
        path: without suffix.
        about: see `style.page`.
    """
    parts = []
    for name, runs in predictions.items():
        for seed, one in enumerate(runs):
            risk = metrics.selective_risk(one.log_probs, _labels(one))
            kept = np.unique(np.linspace(max(1, len(risk) // 50), len(risk), 99).astype(int))
            part = {"method": name, "seed": seed, "coverage": kept / len(risk), "risk": risk[kept - 1]}
            parts.append(pd.DataFrame(part))
    frame = pd.concat(parts, ignore_index=True)
    with style.page(path, 2.1 + style.legend_height(list(predictions)), about) as figure:
        axes = figure.subplots()
        draw_lines(axes, frame, "coverage", "risk", has_markers=False)
        axes.set(xlabel="coverage (share of items kept)", ylabel="error of those kept ↓", xlim=(0, 1))
        axes.set_ylim(bottom=0)
        style.legend_below(figure, axes, title=style.spread_of(frame, "bands"))
    return style.files(path)


def _labels(predictions: Categorical) -> np.ndarray:
    if predictions.labels is None:
        raise ValueError("these predictions have no labels, which this figure needs")
    return predictions.labels
