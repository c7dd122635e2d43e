"""The card of a method as one figure and one page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from leaderboard.card import Card, Knob
from leaderboard.columns import Column
from leaderboard.store import write_once
from leaderboard.views import style
from leaderboard.views.cells import ROUGH, shown
from leaderboard.views.markdown import as_markdown, escaped

COLUMNS = {
    "categorical": ("validation:nll", "nll", "ece", "accuracy", "auroc_near", "fit", "predict"),
    "gaussian": ("validation:nll", "nll", "crps", "coverage_95", "fit", "predict"),
}
"""Of the tables, by the kind of predictions."""
_QUALITY, _COSTS = ("nll", "ece", "crps"), ("fit", "predict")
_GREY = "0.45"


def write(card: Card, to: Path, name: str) -> list[Path]:
    """Draw and write ``card`` as ``name`` in the folder ``to``: the page, and the figure that it shows."""
    figure = draw(card, to / name)
    path = to / f"{name}.md"
    write_once(path, page(card, figure[-1].name).encode(), replace=True)
    return [path, *figure]


def page(card: Card, figure: str) -> str:
    """The card in Markdown; ``figure``: where the picture lies, from the page."""
    parts = [
        f"# {escaped(card.method)}",
        escaped(card.summary),
        f"{escaped(card.about)} · {escaped(card.device)}. Made by `ivi card`; not to be edited.",
        f"![Quality and cost of {escaped(card.method)} over its hyperparameters]({figure})",
        "One hyperparameter at a time is varied, the others stay at their defaults. Whoever chooses, chooses by the "
        "column of the validation set; the others are to look at. Best and worse are told over all rows of this page.",
    ]
    for knob in card.knobs:
        parts += [f"## `{knob.name}`", as_markdown(card.table(knob), legend=False)]
    legend = "; ".join(map(escaped, shown(card.board).legend))
    return "\n\n".join([*parts, f"{legend}."]) + "\n"


def draw(card: Card, path: Path) -> list[Path]:
    """A column of panels for each hyperparameter: quality on the test set above, cost below; the default is shaded.

    Args:
        card: with one hyperparameter at least.
        path: without suffix.
    """
    quality = [one for one in card.board.columns if one.key in _QUALITY]
    costs = [one for one in card.board.columns if one.key in _COSTS]
    count = len(card.knobs)
    width = style.COLUMN if count == 1 else style.WIDE
    with style.page(path, 1.15 * (len(quality) + 1) + 0.5, f"{card.method} · {card.about}", width) as figure:
        grid = figure.subplots(len(quality) + 1, count, squeeze=False, sharex="col", sharey="row")
        for i, knob in enumerate(card.knobs):
            for axes, column in zip(grid[:, i], quality, strict=False):
                _quality(axes, card, knob, column)
            _cost(grid[-1, i], card, knob, costs)
            _ticks(grid[-1, i], knob)
            for axes, place in ((axes, place) for axes in grid[:, i] for place in _defaults(knob)):
                axes.axvspan(place - 0.4, place + 0.4, color="#de8f05", alpha=0.12, linewidth=0, zorder=0)
            grid[0, i].set_title(knob.name, parse_math=False)
        for axes, column in zip(grid[:, 0], quality, strict=False):
            axes.set_ylabel(column.title)
            _limit(axes, card, [column])
        _limit(grid[-1, 0], card, costs)
        rough = "" if any(row.rounds for row in card.board.rows) else ROUGH
        grid[-1, 0].set_ylabel(f"{rough}cost ×MAP ↓")
        figure.legend(handles=_handles(card, costs), loc="outside lower center", ncols=1 if count == 1 else 4)
    return style.files(path)


def _quality(axes: Axes, card: Card, knob: Knob, column: Column) -> None:
    """Means with their intervals, and MAP's as a line with a band."""
    look = style.look(card.method)
    base = card.base and card.base.metrics.get(column.key)
    if base and math.isfinite(base.mean):
        axes.axhline(base.mean, color=_GREY, linewidth=0.8, linestyle="--", zorder=1)
        if math.isfinite(base.low):
            axes.axhspan(base.low, base.high, color=_GREY, alpha=0.12, linewidth=0, zorder=0)
    _points(axes, card, knob, column, look.colour, look.marker)


def _cost(axes: Axes, card: Card, knob: Knob, costs: Sequence[Column]) -> None:
    axes.set_yscale("log")
    axes.axhline(1.0, color=_GREY, linewidth=0.8, linestyle="--", zorder=1)
    for column in costs:
        _points(axes, card, knob, column, *_COST_LOOK[column.key])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


_COST_LOOK = {"fit": ("#000000", "o"), "predict": ("#0173b2", "^")}


def _points(axes: Axes, card: Card, knob: Knob, column: Column, colour: str, marker: str) -> None:
    """A point for each setting with the interval of its mean; no line where the values are words."""
    places, means = [], []
    for i, setting in enumerate(knob.settings):
        row = card.row(setting.label)
        interval = row and row.metrics.get(column.key)
        if not interval or not math.isfinite(interval.mean):
            continue
        places.append(i)
        means.append(interval.mean)
        inside = colour if setting.is_default else "white"
        axes.plot(i, interval.mean, marker=marker, color=colour, markerfacecolor=inside, linestyle="", zorder=3)
        if math.isfinite(interval.low):
            low = max(interval.low, 1e-6) if column.cost else interval.low  # the axis is logarithmic
            axes.vlines(i, low, interval.high, color=colour, linewidth=0.8)
    if all(_is_number(setting.value) for setting in knob.settings):
        axes.plot(places, means, color=colour, linewidth=0.8, alpha=0.6, zorder=2)


def _defaults(knob: Knob) -> list[int]:
    return [i for i, setting in enumerate(knob.settings) if setting.is_default]


def _limit(axes: Axes, card: Card, columns: Sequence[Column]) -> None:
    """Show all means, and of their intervals what is near: those of two seeds may go far beyond."""
    cells = [row.metrics.get(column.key) for row in card.board.rows for column in columns]
    means = [cell.mean for cell in cells if cell and math.isfinite(cell.mean)]
    if not means:
        return
    low, high = min(means), max(means)
    if axes.get_yscale() == "log":
        axes.set_ylim(min(low, 1.0) / 1.6, max(high, 1.0) * 1.6)
    else:
        room = 0.5 * (high - low or abs(high) or 1.0)
        axes.set_ylim(max(low - room, 0.0) if low > 0 else low - room, high + room)


def _ticks(axes: Axes, knob: Knob) -> None:
    names = [style.wrapped(setting.value, 12) for setting in knob.settings]
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    for tick, setting in zip(axes.get_xticklabels(), knob.settings, strict=True):
        tick.set_parse_math(False)
        tick.set_fontweight("bold" if setting.is_default else "normal")


def _handles(card: Card, costs: Sequence[Column]) -> list[Line2D]:
    look = style.look(card.method)
    n = max((row.n for row in card.board.rows), default=0)
    bars = f"mean over {n} seeds, 95 % interval" if n > 1 else "one seed"
    default = Line2D([], [], color=look.colour, marker=look.marker, linestyle="", label=f"{bars}; shaded: default")
    base = Line2D([], [], color=_GREY, linestyle="--", linewidth=0.8, label="MAP")
    named = [(one.key, *_COST_LOOK[one.key]) for one in costs]
    lines = [Line2D([], [], color=c, marker=m, markerfacecolor="white", linestyle="", label=key) for key, c, m in named]
    return [default, base, *lines]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
