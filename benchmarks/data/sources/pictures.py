"""One encoded picture -> pixels of a spec's shape."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from benchmarks.data.images import cover
from benchmarks.data.sources.files import first_line
from benchmarks.data.spec import DataError, ImageSpec

# The others that Pillow knows are no photographs, and one of them (EPS) starts another program.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")


def open_picture(cell: dict[str, Any] | None, spec: ImageSpec, where: str) -> Image.Image:
    """Decode one image, in colour or grey as the spec's shape is, upright as its EXIF orientation says.

    Transparency is left out, as torchvision does.

    Raises:
        DataError: there is none; it cannot be decoded or is larger than Pillow's limit; it is in colour where the spec
            is grey, or has more than 8 bits a channel.
    """
    if cell is None or (cell.get("bytes") is None and cell.get("path") is None):
        raise DataError(f"{where}: there is no picture, the cell is empty")
    if cell.get("path"):
        where = f"{where} ({cell['path']})"
    grey = spec.shape[0] == 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            file = io.BytesIO(cell["bytes"]) if cell["bytes"] is not None else cell["path"]
            with Image.open(file, formats=FORMATS) as image:
                deep = _is_deep(image)  # which loading forgets
                image.load()
                mode = image.mode
                upright = ImageOps.exif_transpose(image)  # as the `datasets` library does
                picture = upright.convert("L" if grey else "RGB")
    except Exception as error:  # Pillow raises whatever a broken file makes its decoders raise
        raise DataError(f"{where}: cannot be decoded: {first_line(error)}") from error
    if deep:  # conversion would clip the values, or cut them off
        raise DataError(f"{where}: is of mode {mode}, with more than 8 bits a channel: convert it first")
    if grey and mode not in ("L", "LA", "1"):
        raise DataError(f"{where}: is of mode {mode}, the spec's shape {spec.shape} is grey")
    return picture


def _is_deep(image: Image.Image) -> bool:
    """Whether the file has more than 8 bits a channel: of a colour picture Pillow's mode does not say."""
    if image.mode[0] in "IF":
        return True
    for tile in getattr(image, "tile", ()):
        codec, arguments = tile[0], tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if codec == "ppm" and isinstance(arguments[-1], int) and arguments[-1] > 255:
            return True
        if re.match(r"(?!BGR)\w+;16", str(arguments[0])):
            return True
    return False


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
