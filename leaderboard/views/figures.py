"""Figures of results; every function takes plain data and a path without suffix, and returns the files it wrote.

``methods``, where a figure takes it, are all methods of the report in a fixed order: each then looks the same in every
figure, also in one that shows a few. By default they are the methods in the data, sorted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from leaderboard import metrics
from leaderboard.predictions import Predictions
from leaderboard.views import style
from leaderboard.views.curves import draw_lines


def reliability(predictions: Mapping[str, Predictions], path: Path, bins: int = 15) -> list[Path]:
    """Reliability diagrams, one panel per method, each above the histogram of its confidence.

    Points are bins of equal width, bars the 95 % Wilson interval of the accuracy in the bin.

    Args:
        predictions: labelled predictions by method.
        path: without suffix.
        bins: of equal width.
    """
    columns = min(2, len(predictions))
    rows = -(-len(predictions) // columns)
    with style.page(path, 0.4 + (2.1 if columns == 2 else 2.9) * rows) as figure:
        ratios = {"height_ratios": [3, 1] * rows}
        grid = figure.subplots(2 * rows, columns, sharex=True, squeeze=False, gridspec_kw=ratios)
        for i, (name, one) in enumerate(predictions.items()):
            upper, lower = grid[2 * (i // columns), i % columns], grid[2 * (i // columns) + 1, i % columns]
            error = _reliability_panel(upper, lower, one, bins)
            upper.set_title(f"{style.wrapped(name, 21)}\nECE {error:.3f}")
            if i % columns == 0:
                upper.set_ylabel("accuracy")
                lower.set_ylabel("share, %")
            if i + columns >= len(predictions):
                lower.set_xlabel("confidence")
                lower.tick_params(labelbottom=True)
        for axes in grid[-2:, len(predictions) - columns * (rows - 1) :].flat:
            axes.set_axis_off()
        handles = [
            Line2D([], [], color="0.5", linestyle="--", linewidth=0.8, label="perfect calibration"),
            Line2D(
                [], [], color=style.colour(0), linestyle="", marker="|", markersize=9, label="95 % interval of a bin"
            ),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return style.files(path)


def ood_histograms(
    id_scores: np.ndarray, ood_scores: Mapping[str, np.ndarray], name: str, path: Path, title: str = ""
) -> list[Path]:
    """Histograms of one OOD score on the test set and on OOD sets, with the AUROC of each.

    The bins span 99.6 % of all finite scores; the outermost two hold what lies beyond.

    Args:
        id_scores: [N] scores of the test set.
        ood_scores: by name of the OOD set, [N_ood] scores.
        name: of the score, for the axis.
        path: without suffix.
        title: above the figure.
    """
    everything = np.concatenate([id_scores, *ood_scores.values()])
    low, high = np.quantile(everything[np.isfinite(everything)], [0.002, 0.998])
    edges = np.linspace(low, high if high > low else low + 1.0, 31)
    shown = {"test": id_scores}
    for key, values in ood_scores.items():
        shown[f"{key} (AUROC {metrics.auroc(id_scores, values):.3f})"] = values
    with style.page(path, 1.9 + style.legend_height(list(shown))) as figure:
        axes = figure.subplots()
        for i, (label, values) in enumerate(shown.items()):
            sns.histplot(
                x=np.clip(values, edges[0], edges[-1]),
                bins=edges.tolist(),
                stat="proportion",
                element="step",
                fill=i == 0,
                color=style.colour(i),
                alpha=0.35 if i == 0 else 1.0,
                linestyle=style.LINES[i % len(style.LINES)],
                label=label,
                ax=axes,
            )
        axes.set(title=title, xlabel=f"{name} (outer bins hold the tails)", ylabel="share of images")
        style.legend_below(figure, axes)
    return style.files(path)


def risk_coverage(
    predictions: Mapping[str, Sequence[Predictions]], path: Path, methods: Sequence[str] | None = None
) -> list[Path]:
    """Error among the most confident images against the share of images kept, a line per method, from 2 % on.

    Args:
        predictions: by method, labelled predictions on the same set, one entry per seed.
        path: without suffix.
        methods: see the head of this module.
    """
    parts = []
    for name, runs in predictions.items():
        for seed, one in enumerate(runs):
            risk = metrics.selective_risk(one.log_probs, _labels(one))
            kept = np.unique(np.linspace(max(1, len(risk) // 50), len(risk), 99).astype(int))
            part = {"method": name, "seed": seed, "coverage": kept / len(risk), "risk": risk[kept - 1]}
            parts.append(pd.DataFrame(part))
    frame = pd.concat(parts, ignore_index=True)
    with style.page(path, 2.1 + style.legend_height(list(predictions))) as figure:
        axes = figure.subplots()
        draw_lines(axes, frame, "coverage", "risk", methods, has_markers=False)
        axes.set(xlabel="coverage (share of images kept)", ylabel="error of those kept ↓", xlim=(0, 1))
        axes.set_ylim(bottom=0)
        style.legend_below(figure, axes, title=style.spread_of(frame, "bands"))
    return style.files(path)


def _reliability_panel(upper: Axes, lower: Axes, predictions: Predictions, bins: int) -> float:
    """Draw one diagram and its histogram; returns the ECE."""
    labels = _labels(predictions)
    confidence, correct = metrics.confidence_and_correct(predictions.log_probs, labels)
    index = np.searchsorted(metrics.equal_width_edges(bins), confidence, "left")
    count = np.bincount(index, minlength=bins)
    n = count[count > 0]
    mean = np.bincount(index, weights=confidence, minlength=bins)[count > 0] / n
    hit = np.bincount(index, weights=correct, minlength=bins)[count > 0] / n
    z = 1.959964
    centre = (hit + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(hit * (1 - hit) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    upper.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=0.8, zorder=1)
    upper.vlines(mean, centre - half, centre + half, color=style.colour(0), linewidth=1)
    upper.plot(mean, hit, "o", color=style.colour(0), markersize=2.5, clip_on=False)
    upper.set(xlim=(0, 1), ylim=(0, 1), yticks=[0, 0.5, 1])
    lower.bar((np.arange(bins) + 0.5) / bins, 100 * count / count.sum(), 0.9 / bins, color="0.6")
    return metrics.ece(predictions.log_probs, labels, bins)


def _labels(predictions: Predictions) -> np.ndarray:
    if predictions.labels is None:
        raise ValueError("these predictions have no labels, which this figure needs")
    return predictions.labels
