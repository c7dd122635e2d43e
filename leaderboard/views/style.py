"""The one style of all figures: a paper column wide, legible in print, for the colour-blind and in grey.

A method looks the same in every figure for ever: `LOOKS` says how, and colour is never the only sign.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

COLUMN, WIDE = 3.25, 6.75  # inches: a column of a two-column paper, and both
LINES = ("-", "--", "-.", ":", (0, (7, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
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
    """How a method is drawn. Markers of the suite's own methods are filled, those of others hollow."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[int, ...]]
    is_filled: bool = True

    def marks(self, size: float = 3.5) -> dict[str, Any]:
        """Arguments of `Axes.plot` for its markers, ``size`` points wide."""
        inside = self.colour if self.is_filled else "white"
        return {"color": self.colour, "marker": self.marker, "markerfacecolor": inside, "markersize": size}


_BLUE, _ORANGE, _GREEN, _RED, _PURPLE, _BLACK, _SKY = (
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#000000", "#56b4e9"
)  # fmt: skip
_BROWN, _PINK, _GREY = "#ca9161", "#fbafe4", "#949494"
LOOKS: Mapping[str, Look] = {
    "map": Look(_BLACK, "P", LINES[5]),
    "deep_ensemble": Look(_BLUE, "o", LINES[0]),
    "deep_ensemble_10": Look(_BLUE, "h", LINES[1]),
    "implicit_vi_ensemble": Look(_BLUE, "$E$", LINES[3]),
    "implicit_vi_last_ensemble": Look(_BLUE, "$G$", LINES[4]),
    "batch_ensemble": Look(_BLUE, "$B$", LINES[2]),
    "masksembles": Look(_BLUE, "$K$", LINES[3]),
    "mc_dropout": Look(_SKY, "*", LINES[6]),
    "mc_dropout_head": Look(_SKY, "p", LINES[1]),
    "sngp": Look(_SKY, "$S$", LINES[2]),
    "ddu": Look(_SKY, "$D$", LINES[3]),
    "laplace": Look(_PURPLE, "v", LINES[4]),
    "laplace_all": Look(_PURPLE, "<", LINES[1]),
    "last_layer_vi": Look(_RED, "$N$", LINES[5]),
    "vbll": Look(_PURPLE, "$V$", LINES[2]),
    "laplace_validation": Look(_PURPLE, "$v$", LINES[0]),
    "laplace_full": Look(_PURPLE, "$F$", LINES[3]),
    "laplace_diag": Look(_PURPLE, "$d$", LINES[5]),
    "kl_vi": Look(_RED, "^", LINES[3]),
    "kl_vi_tempered": Look(_RED, "8", LINES[0]),
    "kl_vi_low_rank": Look(_RED, ">", LINES[1]),
    "implicit_vi": Look(_ORANGE, "s", LINES[1]),
    "implicit_vi_shared": Look(_GREEN, "D", LINES[2]),
    "implicit_vi_published": Look(_GREEN, "$P$", LINES[0]),
    "implicit_vi_per_example": Look(_ORANGE, "d", LINES[0]),
    "implicit_vi_last": Look(_ORANGE, "$J$", LINES[5]),
    "implicit_vi_fast": Look(_ORANGE, "X", LINES[2]),
    "implicit_vi_w2": Look(_ORANGE, "H", LINES[3]),
    "swag": Look(_BROWN, "$W$", LINES[0]),
    "multi_swag": Look(_BROWN, "$M$", LINES[1]),
    "sgld": Look(_PINK, "$L$", LINES[0]),
    "sghmc": Look(_PINK, "$H$", LINES[1]),
    "ivon": Look(_RED, "$I$", LINES[2]),
    "checkpoint_ensemble": Look(_BLUE, "$C$", LINES[2]),
    "label_smoothing": Look(_GREY, "$A$", LINES[0]),
    "mixup": Look(_GREY, "$X$", LINES[1]),
    "own_rate": Look(_GREY, "$R$", LINES[2]),
}
"""The look of every method and named variant of the suite, for ever: a variant has its method's colour."""
RESERVED = ("#7a7a7a", "#7b1e3b", "#6b6b00", "#00556b", "#4b3a8e", "#8c6d3f")
"""Colours of whatever is not in the table."""
_HOLLOW = "osD^vPXph<>"


def look(name: str) -> Look:
    """The look of a method: that of the table, else one that its name alone decides, whatever stands beside it."""
    if name in LOOKS:
        return LOOKS[name]
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    number, colour = divmod(number, len(RESERVED))
    number, marker = divmod(number, len(_HOLLOW))
    return Look(RESERVED[colour], _HOLLOW[marker], LINES[number % len(LINES)], is_filled=False)


@contextmanager
def page(path: Path, height: float, about: str, width: float = COLUMN) -> Iterator[Figure]:
    """A figure ``height`` and ``width`` inches large, which is written as SVG and PNG when the block ends.

    The same data give the same bytes: no date of drawing goes into the files.

    Args:
        path: without suffix.
        height: of what is below the line ``about``.
        about: what the figure is of, the line above it: task, model, seeds, dates.
        width: `COLUMN` or `WIDE`.
    """
    parts = [part.replace(" ", "\u00a0") for part in about.split(" · ")]  # broken between its parts
    title = fill("\u00a0· ".join(parts), round(18 * width))
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(width, height + 0.14 * len(title.splitlines())), layout="constrained")
        figure.suptitle(title, fontsize=6.5, color="0.35", parse_math=False)
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
