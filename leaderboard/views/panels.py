"""A panel for each method, all with the same axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from leaderboard.views import style


def panels(
    names: Sequence[str],
    draw: Callable[[str, Sequence[Axes]], str],
    path: Path,
    *,
    about: str,
    ylabels: Sequence[str],
    xlabel: str,
    handles: Sequence[Any],
    height: float = 1.5,
) -> list[Path]:
    """A figure with a panel for each of ``names``; each has as many axes, one above the other, as ``ylabels``.

    Args:
        names: of the methods.
        draw: name, axes from top to bottom -> the line under the name.
        path: without suffix.
        about: see `style.page`.
        ylabels: of the axes; the first is three times as high as the others.
        xlabel: of all.
        handles: of the legend.
        height: inches of a panel's first axes.
    """
    columns = len(names) if len(names) <= 2 else min(4, len(names))
    parts, rows = len(ylabels), -(-len(names) // columns)
    lines = -(-len(handles) // 2) if columns <= 2 else 1
    inches = (height * (1 + (parts - 1) / 3) + 0.55) * rows + 0.3 + 0.16 * lines
    with style.page(path, inches, about, style.COLUMN if columns <= 2 else style.WIDE) as figure:
        ratios = {"height_ratios": [3, *[1] * (parts - 1)] * rows}
        grid = figure.subplots(parts * rows, columns, squeeze=False, gridspec_kw=ratios)
        for i in range(rows * columns):
            mine = grid[parts * (i // columns) : parts * (i // columns) + parts, i % columns]
            if i >= len(names):
                for axes in mine:
                    axes.set_axis_off()
                continue
            line = draw(names[i], list(mine))
            mine[0].set_title(f"{style.wrapped(names[i], 24)}\n{line}", fontsize=7, parse_math=False)
            for axes, label in zip(mine, ylabels, strict=True):
                axes.tick_params(labelbottom=False, labelleft=i % columns == 0)
                if i % columns == 0:
                    axes.set_ylabel(label)
            if i + columns >= len(names):
                mine[-1].set_xlabel(xlabel)
                mine[-1].tick_params(labelbottom=True)
        _align([[axes for axes in grid[part::parts].flat if axes.axison] for part in range(parts)])
        figure.legend(handles=list(handles), loc="outside lower center", ncols=2 if columns <= 2 else len(handles))
    return style.files(path)


def _align(parts: Sequence[Sequence[Axes]]) -> None:
    """The same limits across for all axes, and upwards for those of the same place in their panels."""
    low, high = (pick(axes.get_xlim()[i] for part in parts for axes in part) for i, pick in enumerate((min, max)))
    for part in parts:
        bottom, top = (pick(axes.get_ylim()[i] for axes in part) for i, pick in enumerate((min, max)))
        for axes in part:
            axes.set(xlim=(low, high), ylim=(bottom, top))
