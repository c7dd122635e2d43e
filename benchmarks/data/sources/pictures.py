"""One encoded picture -> pixels of a spec's shape."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.data.images import cover
from benchmarks.data.spec import DataError, ImageSpec


def open_picture(cell: dict[str, Any], spec: ImageSpec, where: str) -> Image.Image:
    """Decode one image, in colour or grey as the spec's shape is. Transparency is left out, as torchvision does.

    Raises:
        DataError: it cannot be decoded, is in colour where the spec is grey, or has more than 8 bits a channel.
    """
    grey = spec.shape[0] == 1
    try:
        with Image.open(io.BytesIO(cell["bytes"]) if cell["bytes"] else cell["path"]) as image:
            image.load()
            mode = image.mode
            picture = image.convert("L" if grey else "RGB")
    except (OSError, SyntaxError, ValueError, TypeError) as error:
        name = f" ({cell['path']})" if cell and cell.get("path") else ""
        raise DataError(f"{where}{name}: cannot be decoded: {error}") from error
    if mode[0] in "IF":  # conversion would clip the values
        raise DataError(f"{where}: is of mode {mode}, with more than 8 bits a channel: convert it first")
    if grey and mode not in ("L", "LA", "1"):
        raise DataError(f"{where}: is of mode {mode}, the spec's shape {spec.shape} is grey")
    return picture


def as_shape(picture: Image.Image, spec: ImageSpec, where: str) -> np.ndarray:
    """Pixels of the spec's shape, uint8.

    Raises:
        DataError: the picture has another size and the spec does not say ``resize``.
    """
    channels, height, width = spec.shape
    if spec.resize:
        picture = cover(picture, height, width)
    if picture.size != (width, height):
        raise DataError(
            f"{where}: is {picture.height} x {picture.width}, the spec says {height} x {width} (or set resize = true)"
        )
    return np.asarray(picture).reshape(height, width, channels).transpose(2, 0, 1)
