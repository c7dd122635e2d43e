"""Small pictures as SVG inside of a page, in the page's own colours: lines and bars on one pair of axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

WIDTH, HEIGHT = 300, 216
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 8, 38
DASHES = ("", "6 3", "2 2", "8 3 2 3", "1 3")


@dataclass(frozen=True)
class Curve:
    """Points joined by a line; ``look``: a class of the site's styles; ``dash``: which of `DASHES`."""

    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    look: str
    dash: int = 0


@dataclass(frozen=True)
class Axes:
    """What is drawn upon: limits and words of both axes; ``log``: across is logarithmic."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_label: str
    y_label: str
    log: bool = False

    def at(self, x: np.ndarray | float, y: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Places in the picture."""
        (x0, x1), values = self.x, np.asarray(x, dtype=np.float64)
        if self.log:
            x0, x1, values = np.log(x0), np.log(x1), np.log(values)
        across = LEFT + (values - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
        up = HEIGHT - BOTTOM - (np.asarray(y) - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - TOP - BOTTOM)
        return across, np.clip(up, TOP, HEIGHT - BOTTOM)


def picture(
    axes: Axes, curves: Sequence[Curve], said: str, bars: tuple[np.ndarray, np.ndarray] | None = None
) -> Markup:
    """The picture; ``said``: what a reader who does not see it is told; ``bars``: edges [n + 1] and heights [n]."""
    parts = [_frame(axes)]
    if bars is not None:
        parts.append(_bars(axes, *bars))
    for curve in curves:
        x, y = axes.at(np.asarray(curve.x), np.asarray(curve.y))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(a) and np.isfinite(b))
        dash = f' stroke-dasharray="{DASHES[curve.dash % len(DASHES)]}"' if curve.dash else ""
        parts.append(Markup('<polyline points="{}" class="{}"' + dash + "/>").format(points, curve.look))
    opening = Markup('<svg viewBox="0 0 {} {}" class="plot" role="img" aria-label="{}">').format(WIDTH, HEIGHT, said)
    return opening + Markup("").join(parts) + Markup("</svg>")


def _frame(axes: Axes) -> Markup:
    parts = [Markup('<path d="M{0},{1} V{2} H{3}" class="frame"/>').format(LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT)]
    for value in _ticks(axes.x, axes.log):
        x = float(axes.at(value, axes.y[0])[0])
        parts.append(_text(x, HEIGHT - BOTTOM + 14, "middle", f"{value:g}"))
    for value in _ticks(axes.y, False):
        y = float(axes.at(axes.x[0], value)[1])
        parts.append(_text(LEFT - 5, y + 4, "end", f"{value:g}"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "middle", axes.x_label))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    words = Markup('<text transform="translate(12,{:.0f}) rotate(-90)" text-anchor="middle">{}</text>')
    return Markup("").join([*parts, words.format(middle, axes.y_label)])


def _ticks(limits: tuple[float, float], log: bool) -> list[float]:
    low, high = limits
    if log:
        powers = [2.0**k for k in range(int(np.ceil(np.log2(low) - 1e-9)), int(np.floor(np.log2(high) + 1e-9)) + 1)]
        return powers[:: max(1, len(powers) // 6)]
    step = 10.0 ** np.floor(np.log10((high - low) / 2.5))
    step *= next((m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= 5), 10)
    return [float(round(k * step, 12)) for k in range(int(np.ceil(low / step - 1e-9)), int(high / step + 1e-9) + 1)]


def _bars(axes: Axes, edges: np.ndarray, heights: np.ndarray) -> Markup:
    x, top = axes.at(edges, 0.0)[0], axes.at(axes.x[0], heights)[1]
    base = float(axes.at(axes.x[0], axes.y[0])[1])
    bar = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="share"/>')
    shapes = [
        bar.format(x[i], top[i], x[i + 1] - x[i], max(0.0, base - top[i]))
        for i in range(len(heights))
        if heights[i] > 0
    ]
    return Markup("").join(shapes)


def _text(x: float, y: float, anchor: str, words: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, escape(words))
