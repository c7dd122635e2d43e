"""Names beside points, so that none lies on another, on a point or on a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

_DISTANCES = (6, 10, 15, 21, 28, 36, 45, 56, 70, 90)
"""Points from the point to the edge of its name; from the third on a line leads there."""
_ANGLES = np.deg2rad((0, 180, 90, 270, 30, 150, 330, 210, 60, 120, 300, 240))
_LEADER = 12


class Labelled(NamedTuple):
    """A point in coordinates of the data, and its name."""

    x: float
    y: float
    text: str


def place_names(figure: Figure, axes: Axes, points: Sequence[Labelled], lines: Sequence[Bbox]) -> None:
    """Write the name of each point where nothing is: tried by distance, then around the point; the crowded first.

    The axes must have their limits: names are placed in what they show. ``lines``: boxes, in coordinates of the data,
    that no name should lie on.
    """
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()  # so that the axes are where they will be
    scale = figure.dpi / 72
    at = axes.transData.transform([(point.x, point.y) for point in points])
    dots = [Bbox.from_extents(*(xy - 4 * scale), *(xy + 4 * scale)) for xy in at]
    taken = [*dots, *(box.transformed(axes.transData) for box in lines)]
    inside = Bbox.from_extents(axes.bbox.x0 + 2, axes.bbox.y0 + 2, axes.bbox.x1, axes.bbox.y1)
    crowd = [sum(float(np.hypot(*(xy - other)) < 60 * scale) for other in at) for xy in at]
    for i in sorted(range(len(points)), key=lambda i: (-crowd[i], at[i][0], at[i][1])):
        text = axes.text(0, 0, points[i].text, fontsize=6.5)
        extent = text.get_window_extent(renderer)
        text.remove()
        offset, box = _free(at[i], (extent.width, extent.height), scale, taken, inside)
        taken.append(box)
        distance = float(np.hypot(*offset))
        leader = {"arrowstyle": "-", "linewidth": 0.4, "color": "0.5", "shrinkA": 0, "shrinkB": 2}
        middle = ((box.x0 + box.x1) / 2 - at[i][0], (box.y0 + box.y1) / 2 - at[i][1])
        name = axes.annotate(
            points[i].text, (points[i].x, points[i].y), (middle[0] / scale, middle[1] / scale),
            textcoords="offset points", ha="center", va="center", fontsize=6.5, parse_math=False,
            arrowprops=leader if distance > _LEADER else None,
        )  # fmt: skip
        name.set_in_layout(False)


def _free(
    at: np.ndarray, size: tuple[float, float], scale: float, taken: Sequence[Bbox], inside: Bbox
) -> tuple[tuple[float, float], Bbox]:
    """The first place that covers nothing, else that which covers least: offset of its edge in points, and its box."""
    best, least = None, np.inf
    for distance in _DISTANCES:
        for angle in _ANGLES:
            dx, dy = distance * np.cos(angle), distance * np.sin(angle)
            # The box's centre lies beyond the edge by half its size in the direction of the angle.
            x = at[0] + dx * scale + np.sign(round(np.cos(angle), 6)) * size[0] / 2
            y = at[1] + dy * scale + np.sin(angle) * size[1] / 2
            box = Bbox.from_extents(x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2)
            covered = sum(_shared(box.padded(1.0), other) for other in taken) + 1e3 * _outside(box, inside)
            if covered == 0.0:
                return (dx, dy), box
            if covered < least:
                best, least = ((dx, dy), box), covered
    assert best is not None
    return best


def _shared(a: Bbox, b: Bbox) -> float:
    """Area of both, at least 1 where a line without area lies in a box."""
    across, along = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(across, 1.0) * max(along, 1.0) if across >= 0 and along >= 0 else 0.0


def _outside(box: Bbox, inside: Bbox) -> float:
    beyond = (inside.x0 - box.x0, box.x1 - inside.x1, inside.y0 - box.y0, box.y1 - inside.y1)
    return sum(max(0.0, one) for one in beyond)
