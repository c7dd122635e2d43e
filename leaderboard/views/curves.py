"""Figures of numbers by run: costs, shifts, draws, ranks; conventions as in `leaderboard.views.figures`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from leaderboard.statistics import Ranks, t_interval
from leaderboard.views import style


def pareto(
    frame: pd.DataFrame,
    path: Path,
    *,
    cost: str,
    value: str,
    cost_label: str,
    value_label: str,
    methods: Sequence[str] | None = None,
) -> list[Path]:
    """A metric where lower is better against a cost, with the front that no method beats in both.

    Args:
        frame: a row per run, with the columns ``method``, ``seed``, and those named by ``cost`` and ``value``.
        path: without suffix.
        cost: name of the column across; positive.
        value: name of the column upwards.
        cost_label: of the axis, with its unit.
        value_label: of the axis, with its unit.
        methods: see the head of `leaderboard.views.figures`.
    """
    names, look = style.methods_of(frame), style.looks(methods or style.methods_of(frame))
    with style.page(path, 2.3 + style.legend_height([*names, "Pareto front"])) as figure:
        axes = figure.subplots()
        points = []
        for name in names:
            rows = frame.loc[frame["method"] == name]
            x, interval = float(np.mean(rows[cost].to_numpy())), t_interval(rows[value].to_numpy())
            points.append((x, interval.mean))
            axes.vlines(x, interval.low, interval.high, color=look[name].colour, linewidth=1)
            axes.plot(x, interval.mean, look[name].marker, color=look[name].colour, markersize=5, label=name, zorder=3)
        front = np.array(_front(points))
        axes.step(front[:, 0], front[:, 1], where="post", color="0.6", linewidth=0.8, zorder=1, label="Pareto front")
        axes.set_xscale("log")
        axes.margins(0.08)
        style.plain_log_ticks(axes)
        axes.set(xlabel=cost_label, ylabel=value_label)
        style.legend_below(figure, axes, title=style.spread_of(frame, "bars"))
    return style.files(path)


def severity(frame: pd.DataFrame, path: Path, methods: Sequence[str] | None = None) -> list[Path]:
    """Accuracy and NLL over the severity of a shift, a line per method; several corruptions of a seed are averaged.

    Args:
        frame: columns ``method``, ``seed``, ``severity``, ``accuracy``, ``nll``; severity 0 is the clean test set.
        path: without suffix.
        methods: see the head of `leaderboard.views.figures`.
    """
    with style.page(path, 3.5 + style.legend_height(style.methods_of(frame))) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        draw_lines(upper, frame, "severity", "accuracy", methods)
        draw_lines(lower, frame, "severity", "nll", methods)
        upper.set(ylabel="accuracy ↑")
        lower.set(ylabel="NLL, nats ↓", xlabel="severity (0: the same images, clean)")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        style.legend_below(figure, upper, title=style.spread_of(frame, "bands"))
    return style.files(path)


def draws(
    frame: pd.DataFrame,
    path: Path,
    *,
    value: str,
    value_label: str,
    x: str = "draws",
    x_label: str = "members or draws",
    methods: Sequence[str] | None = None,
) -> list[Path]:
    """A metric against the number of members or draws that are averaged, or what they cost, a line per method.

    Args:
        frame: columns ``method``, ``seed``, and those named by ``x`` and ``value``.
        path: without suffix.
        value: name of the column upwards.
        value_label: of the axis, with its unit.
        x: name of the column across; positive.
        x_label: of the axis, with its unit.
        methods: see the head of `leaderboard.views.figures`.
    """
    with style.page(path, 2.1 + style.legend_height(style.methods_of(frame))) as figure:
        axes = figure.subplots()
        draw_lines(axes, frame, x, value, methods)
        axes.set_xscale("log", base=2 if x == "draws" else 10)
        style.plain_log_ticks(axes, sorted(set(frame[x].tolist())) if x == "draws" else None)
        axes.set(xlabel=x_label, ylabel=value_label)
        style.legend_below(figure, axes, title=style.spread_of(frame, "bands"))
    return style.files(path)


def critical_differences(ranks: Ranks, path: Path) -> list[Path]:
    """Average ranks on a line, best at the left; bars join the methods that the Nemenyi test cannot tell apart."""
    names = list(ranks.average)
    half, bars = -(-len(names) // 2), 0.45 * len(ranks.groups)
    labels = {name: f"{style.wrapped(name, 16)} {value:.2f}" for name, value in ranks.average.items()}
    row = 0.06 + 0.11 * max(label.count("\n") + 1 for label in labels.values())
    with style.page(path, 1.1 + row * (half + bars)) as figure:
        axes = figure.subplots()
        axes.set(xlim=(1, len(names)), ylim=(bars + half + 0.1, 0), yticks=[])
        axes.xaxis.tick_top()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.xaxis.set_label_position("top")
        axes.set_xlabel(f"average rank over {ranks.tasks} tasks (Friedman p = {ranks.friedman_p:.2g})")
        sns.despine(ax=axes, left=True, bottom=True, top=False)
        for i, (name, value) in enumerate(ranks.average.items()):
            is_left = i < half
            y, edge = bars + 0.6 + (i if is_left else len(names) - 1 - i), 1 if is_left else len(names)
            axes.plot([value, value, edge], [0, y, y], color="0.4", linewidth=0.7, solid_joinstyle="miter")
            offset, side = (-3 if is_left else 3, 0), "right" if is_left else "left"
            axes.annotate(labels[name], (edge, y), offset, textcoords="offset points", ha=side, va="center")
        for i, group in enumerate(ranks.groups):
            ends = [ranks.average[group[0]], ranks.average[group[-1]]]
            axes.plot(ends, [0.45 * (i + 1)] * 2, color=style.colour(0), linewidth=2.5, solid_capstyle="butt")
        tied = f"bars: closer than {ranks.critical_difference:.2f}, not told apart (Nemenyi, 95 %)"
        figure.legend(
            handles=[Line2D([], [], color=style.colour(0), linewidth=2.5, label=tied)], loc="outside lower center"
        )
    return style.files(path)


def draw_lines(
    axes: Axes, frame: pd.DataFrame, x: str, y: str, methods: Sequence[str] | None, has_markers: bool = True
) -> None:
    """Mean over seeds of ``y`` at each ``x``, a line per method, with the 95 % t interval over seeds as its band.

    The axis shows what single seeds gave and a third more: the bands of two or three seeds may go far beyond.
    """
    names, look = style.methods_of(frame), style.looks(methods or style.methods_of(frame))
    seen: list[float] = []
    for i, name in enumerate(names):
        rows = frame.loc[frame["method"] == name]
        places = sorted(set(rows[x].tolist()))
        bands = []
        for place in places:
            here = rows.loc[rows[x] == place]
            seeds, values = here["seed"].to_numpy(), here[y].to_numpy()
            of_seeds = [float(np.mean(values[seeds == seed])) for seed in np.unique(seeds)]
            bands.append(t_interval(of_seeds))
            seen += of_seeds
        mean, low, high = np.array(bands).T
        every = 1 if has_markers else (6 + 2 * i, 20)
        shape = {"linestyle": look[name].line, "marker": look[name].marker, "markevery": every}
        axes.plot(places, mean, color=look[name].colour, label=name, **shape)
        alpha = 0.2 if len(names) <= 4 else 0.1
        axes.fill_between(places, low, high, color=look[name].colour, alpha=alpha, linewidth=0)
    _limit(axes, np.array(seen), 1.0 if y in ("accuracy", "risk") else np.inf)


def _limit(axes: Axes, seen: np.ndarray, most: float) -> None:
    """Have the axis upwards reach a third beyond the finite numbers ``seen``, and not beyond 0 and ``most``."""
    seen = seen[np.isfinite(seen)]
    if not len(seen) or np.ptp(seen) == 0.0:
        return
    beyond, margin = np.ptp(seen) / 3, 0.04 * np.ptp(seen)
    low, high = axes.get_ylim()
    low, high = max(low, seen.min() - beyond, -margin), min(high, seen.max() + beyond, most + margin)
    axes.set_ylim(low, high)


def _front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats in both coordinates, from the cheapest on."""
    front: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not front or y < front[-1][1]:
            front.append((x, y))
    return front
