"""Figures of numbers by run: costs, shifts, draws, ranks; conventions as in `leaderboard.views.figures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from leaderboard.statistics import Interval, Ranks, t_interval
from leaderboard.views import style
from leaderboard.views.front import beyond, edge, limits
from leaderboard.views.labels import Labelled, place_names

ROOM = 9
"""Names that a column has room for."""


class Point(NamedTuple):
    """A method in a figure of cost against quality; low is good in both."""

    method: str
    cost: Interval
    value: Interval
    is_at_chance: bool = False


def pareto(
    points: Sequence[Point],
    corners: Sequence[str],
    path: Path,
    *,
    about: str,
    cost_label: str,
    value_label: str,
    note: str,
) -> list[Path]:
    """A metric where lower is better against a cost: intervals as crosses, a name at each point, the front as a line.

    The axis is fitted to those that trained and do not squeeze the others (`front.beyond`); what it does not reach is
    at its edge, with an arrow and its number.

    Args:
        points: costs are positive.
        corners: of the front, the cheapest first (`front.corners`); with fewer than two there is no line.
        path: without suffix.
        about: see `style.page`.
        cost_label: of the axis, with its unit.
        value_label: of the axis, with its unit.
        note: what the bars say, and how the front is told.
    """
    at_chance = {point.method for point in points if point.is_at_chance}
    lost = beyond({point.method: point.value.mean for point in points}, at_chance)
    low, high = limits([point.value for point in points if point.method not in lost])
    within = [point for point in points if not edge(point.value.mean, (low, high))]
    if any(point.value.low < low or point.value.high > high for point in within):
        note = f"{note} Some bars go on beyond the picture."
    width = style.WIDE if len(points) > ROOM else style.COLUMN
    lines = fill(note, round(18 * width))
    with style.page(path, 2.6 + 0.13 * len(lines.splitlines()), about, width) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.set_ylim(low, high)
        named, boxes = [], []
        for point in points:
            name, taken = _cross(axes, point, (low, high))
            named.append(name)
            boxes += taken
        axes.margins(x=0.12)
        axes.autoscale_view(scaley=False)
        boxes += _front_line(axes, [next(p for p in points if p.method == name) for name in corners])
        style.plain_log_ticks(axes)
        axes.set(xlabel=cost_label, ylabel=value_label)
        figure.legend(handles=[], title=lines, loc="outside lower center")
        place_names(figure, axes, named, boxes)
    return style.files(path)


def _cross(axes: Any, point: Point, axis: tuple[float, float]) -> tuple[Labelled, list[Any]]:
    """Draw one method: its point and intervals, or an arrow at an edge. Its name, and the room that is taken."""
    (low, high), side = axis, edge(point.value.mean, axis)
    span, bound = high - low, high if side > 0 else low
    look, x, y = style.look(point.method), point.cost.mean, bound - side * 0.09 * span if side else point.value.mean
    axes.plot(x, y, linestyle="", zorder=3, **look.marks(5))
    axes.hlines(y, point.cost.low, point.cost.high, color=look.colour, linewidth=0.9)
    taken = [_box(point.cost.low, y, point.cost.high, y)]
    if side:
        arrow = {"arrowstyle": "->", "color": look.colour, "shrinkA": 3}
        axes.annotate("", (x, bound - side * 0.01 * span), (x, y), arrowprops=arrow, annotation_clip=False)
        return Labelled(x, y, f"{point.method} {point.value.mean:.3g} {'↑' if side > 0 else '↓'}"), taken
    axes.vlines(x, point.value.low, point.value.high, color=look.colour, linewidth=0.9)
    ends = [min(max(end, low), high) for end in point.value if np.isfinite(end)]
    return Labelled(x, y, point.method), [*taken, _box(x, min(ends), x, max(ends))]


def _front_line(axes: Axes, corners: Sequence[Point]) -> list[Bbox]:
    """Draw the front, and return the boxes of its parts."""
    if len(corners) < 2:
        return []
    x, y = [point.cost.mean for point in corners], [point.value.mean for point in corners]
    x, y = [*x, axes.get_xlim()[1]], [*y, y[-1]]
    axes.set_xlim(axes.get_xlim())  # the line ends at the edge, and does not push it away
    axes.step(x, y, where="post", color="0.6", linewidth=0.8, zorder=1)
    flat = [_box(x[i], y[i], x[i + 1], y[i]) for i in range(len(x) - 1)]
    return flat + [_box(x[i + 1], y[i + 1], x[i + 1], y[i]) for i in range(len(x) - 2)]


def _box(x0: float, y0: float, x1: float, y1: float) -> Bbox:
    return Bbox.from_extents(x0, y0, x1, y1)


def severity(
    frame: pd.DataFrame, path: Path, about: str, quality: Mapping[str, str], clean: str = "the same items"
) -> list[Path]:
    """Metrics over the severity of a shift, a line per method with intervals, side by side so that all can be seen.

    Args:
        frame: a row per run and severity: ``method``, ``seed``, ``severity``, and the keys of ``quality``.
        path: without suffix.
        about: see `style.page`.
        quality: columns drawn, one above the other: name -> label of the axis.
        clean: what severity 0 is of.
    """
    names = style.methods_of(frame)
    with style.page(path, 0.3 + 1.7 * len(quality) + style.legend_height(names), about) as figure:
        grid = figure.subplots(len(quality), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (key, label) in zip(grid, quality.items(), strict=True):
            seen: list[float] = []
            for i, name in enumerate(names):
                places, bands, of_seeds = _means(frame.loc[frame["method"] == name], "severity", key)
                seen += of_seeds
                x = np.array(places) + (i - (len(names) - 1) / 2) * min(0.09, 0.6 / len(names))
                look, (mean, low, high) = style.look(name), np.array(bands).T
                axes.plot(x, mean, linewidth=0.8, linestyle=look.line, label=name, **look.marks(3))
                axes.vlines(x, low, high, color=look.colour, linewidth=0.8)
            _limit(axes, np.array(seen), 1.0 if key == "accuracy" else np.inf)
            axes.set_ylabel(label)
        grid[-1].set_xlabel(f"severity (0: {clean}, clean)")
        grid[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        style.legend_below(figure, grid[0], title=style.spread_of(frame, "bars"))
    return style.files(path)


def draws(
    frame: pd.DataFrame,
    path: Path,
    *,
    about: str,
    value: str,
    value_label: str,
    x: str = "draws",
    x_label: str = "members or draws",
) -> list[Path]:
    """A metric against the number of members or draws that are averaged, or what they cost, a line per method.

    Args:
        frame: columns ``method``, ``seed``, and those named by ``x`` and ``value``.
        path: without suffix.
        value: name of the column upwards.
        value_label: of the axis, with its unit.
        x: name of the column across; positive.
        x_label: of the axis, with its unit.
        about: see `style.page`.
    """
    with style.page(path, 2.1 + style.legend_height(style.methods_of(frame)), about) as figure:
        axes = figure.subplots()
        draw_lines(axes, frame, x, value)
        axes.set_xscale("log", base=2 if x == "draws" else 10)
        style.plain_log_ticks(axes, sorted(set(frame[x].tolist())) if x == "draws" else None)
        axes.set(xlabel=x_label, ylabel=value_label)
        style.legend_below(figure, axes, title=style.spread_of(frame, "bands"))
    return style.files(path)


def critical_differences(ranks: Ranks, path: Path, about: str) -> list[Path]:
    """Average ranks on a line, best at the left; bars join the methods that the Nemenyi test cannot tell apart."""
    names = list(ranks.average)
    half, bars = -(-len(names) // 2), 0.45 * len(ranks.groups)
    labels = {name: f"{style.wrapped(name, 16)} {value:.2f}" for name, value in ranks.average.items()}
    row = 0.06 + 0.11 * max(label.count("\n") + 1 for label in labels.values())
    with style.page(path, 1.1 + row * (half + bars), about) as figure:
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
            axes.plot(ends, [0.45 * (i + 1)] * 2, color="black", linewidth=2.5, solid_capstyle="butt")
        tied = f"bars: closer than {ranks.critical_difference:.2f}, not told apart (Nemenyi, 95 %)"
        figure.legend(handles=[Line2D([], [], color="black", linewidth=2.5, label=tied)], loc="outside lower center")
    return style.files(path)


def draw_lines(axes: Axes, frame: pd.DataFrame, x: str, y: str, has_markers: bool = True) -> None:
    """Mean over seeds of ``y`` at each ``x``, a line per method, with the 95 % t interval over seeds as its band.

    The axis shows what single seeds gave and a third more: the bands of two or three seeds may go far beyond.
    """
    names = style.methods_of(frame)
    seen: list[float] = []
    for i, name in enumerate(names):
        places, bands, of_seeds = _means(frame.loc[frame["method"] == name], x, y)
        seen += of_seeds
        look, (mean, low, high) = style.look(name), np.array(bands).T
        every = 1 if has_markers else (6 + 2 * i, 20)
        axes.plot(places, mean, label=name, linestyle=look.line, markevery=every, **look.marks())
        alpha = 0.2 if len(names) <= 4 else 0.1
        axes.fill_between(places, low, high, color=look.colour, alpha=alpha, linewidth=0)
    _limit(axes, np.array(seen), 1.0 if y == "risk" else np.inf)


def _means(rows: pd.DataFrame, x: str, y: str) -> tuple[list[float], list[Interval], list[float]]:
    """Places, the interval over seeds at each, and what each seed gave; several rows of a seed are averaged."""
    places = sorted(set(rows[x].tolist()))
    bands, seen = [], []
    for one in places:
        here = rows.loc[rows[x] == one]
        seeds, values = here["seed"].to_numpy(), here[y].to_numpy()
        of_seeds = [float(np.mean(values[seeds == seed])) for seed in np.unique(seeds)]
        bands.append(t_interval(of_seeds))
        seen += of_seeds
    return places, bands, seen


def _limit(axes: Axes, seen: np.ndarray, most: float) -> None:
    """Have the axis upwards reach a third beyond the finite numbers ``seen``, and not beyond 0 and ``most``."""
    seen = seen[np.isfinite(seen)]
    if not len(seen) or np.ptp(seen) == 0.0:
        return
    beyond, margin = np.ptp(seen) / 3, 0.04 * np.ptp(seen)
    low, high = axes.get_ylim()
    low, high = max(low, seen.min() - beyond, -margin), min(high, seen.max() + beyond, most + margin)
    axes.set_ylim(low, high)
