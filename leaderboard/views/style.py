"""The one style of all figures: a paper column wide, legible in print, for the colour-blind and in grey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

COLUMN = 3.25  # inches, the column of a two-column paper
LINES = ("-", "--", "-.", ":", (0, (7, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
KNOWN = ("deep_ensemble", "implicit_vi", "implicit_vi_shared", "kl_vi", "laplace", "map", "mc_dropout")
"""Methods that keep their look whatever stands beside them; MAP is black."""
_COLOURS = (0, 1, 2, 3, 4, None, 9, 7, 8, 5)
"""Places in seaborn's palette for the colour-blind; None: black. Its tan and pink are too like orange and purple."""
_MARKERS = "osD^vP*Xph"
_RC: dict[Any, Any] = {
    **sns.axes_style("ticks"),
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib, so the figure is the same everywhere
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "svg.hashsalt": "ivi",
}


class Look(NamedTuple):
    """How a method is drawn: any two of the first ten differ in colour and in marker."""

    colour: tuple[float, float, float]
    marker: str
    line: str | tuple[int, tuple[int, ...]]


def looks(methods: Sequence[str]) -> Mapping[str, Look]:
    """The look of each method: those of the suite have the same in every report, others what is left, in order."""
    places = {name: KNOWN.index(name) for name in methods if name in KNOWN}
    free = iter([i for i in range(len(KNOWN) + len(methods)) if i not in places.values()])
    places |= {name: next(free) for name in methods if name not in places}
    return {name: Look(colour(i), _MARKERS[i % 10], LINES[i % len(LINES)]) for name, i in places.items()}


def colour(i: int) -> tuple[float, float, float]:
    """The i-th of ten colours that the colour-blind can tell apart."""
    place = _COLOURS[i % 10]
    red, green, blue = (0.0, 0.0, 0.0) if place is None else sns.color_palette("colorblind")[place]
    return red, green, blue


_TITLE: ContextVar[str] = ContextVar("title", default="")


@contextmanager
def titled(title: str) -> Iterator[None]:
    """Every figure that is drawn within the block has ``title`` above it: what it is of."""
    token = _TITLE.set(title)
    try:
        yield
    finally:
        _TITLE.reset(token)


@contextmanager
def page(path: Path, height: float) -> Iterator[Figure]:
    """A figure of one column, ``height`` inches high, which is written as SVG and PNG when the block ends.

    No date goes into the files: the same data give the same bytes.
    """
    title = fill(_TITLE.get(), 60)
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(COLUMN, height + 0.16 * len(title.splitlines())), layout="constrained")
        if title:
            figure.suptitle(title, fontsize=7, color="0.35", parse_math=False)
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        svg, png = files(path)
        figure.savefig(svg, metadata={"Date": None})
        figure.savefig(png, dpi=300, metadata={"Software": None})


def files(path: Path) -> list[Path]:
    """The files of the figure at ``path``, which is without suffix."""
    return [path.with_name(f"{path.name}{suffix}") for suffix in (".svg", ".png")]


def legend_below(figure: Figure, axes: Axes, title: str | None = None) -> None:
    """One legend under the whole figure, so that it never covers data."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=_legend_columns(labels), title=title)


def legend_height(names: Sequence[str]) -> float:
    """Inches that the lines of such a legend take."""
    return 0.135 * -(-len(names) // _legend_columns(names))


def _legend_columns(names: Sequence[str]) -> int:
    return 2 if max(map(len, names)) <= 18 else 1


def methods_of(frame: pd.DataFrame) -> list[str]:
    """The methods of a frame, sorted."""
    return sorted(set(frame["method"].tolist()))


def spread_of(frame: pd.DataFrame, what: str) -> str:
    """What bands or bars say, for the head of the legend."""
    counts = {len(set(frame.loc[frame["method"] == name, "seed"].tolist())) for name in methods_of(frame)}
    if max(counts) == 1:
        return "one seed, so no spread is known"
    seeds = str(max(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    return f"{what}: 95 % interval of the mean over {seeds} seeds"


def wrapped(name: str, width: int) -> str:
    """The label of a method in lines of ``width`` characters, broken between parameters, else after underscores."""
    spaced = name.replace("(", " (").replace(",", ", ")
    if max(map(len, spaced.split())) > width:
        return fill(spaced.replace("_", "_ "), width).replace("_ ", "_")
    return fill(spaced, width)


def plain_log_ticks(axes: Axes, ticks: Sequence[float] | None = None) -> None:
    """Numbers such as 0.5, 1, 2 on a logarithmic axis, in place of powers."""
    if ticks is None:
        low, high = axes.get_xlim()
        for steps in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
            ticks = [m * 10.0**e for e in range(-12, 16) for m in steps if low <= m * 10.0**e <= high]
            if len(ticks) > 2:
                break
        ticks = ticks[:: max(1, -(-len(ticks) // 8))]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
