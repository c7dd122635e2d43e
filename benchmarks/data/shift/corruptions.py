"""The 15 standard corruptions at severities 1 to 5, for colour and grey images of any size.

After Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations"
(ICLR 2019): the same 15 kinds, and where one number decides the strength, theirs. Published are two columns, for 32
pixels (CIFAR-10-C) and for 224 (ImageNet-C); sizes between take the geometric mean that their logarithm lies at.
Frost is drawn, not photographed; glass, elastic and small-image blurs are set to grow with severity, which theirs do
not all do. So these are not the bytes of the published sets: read docs/data.md before comparing.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.data.images import Images
from benchmarks.data.shift import filters
from benchmarks.data.shift.noise import ImageNoise
from benchmarks.data.spec import CORRUPTIONS, SEVERITIES, DataError

# Raise it when a byte of any corruption changes: it is part of the cache's key.
VERSION = 1

Strength = tuple[float, ...]
Corruption = Callable[[Tensor, ImageNoise, Strength], Tensor]

_PIXELS_AT_ONCE = 1 << 20


def corrupt(images: Images, corruption: str, severity: int, seed: int = 0, first: int = 0) -> Images:
    """A corrupted copy of ``images``, the labels kept.

    Args:
        images: [N, channels, height, width], any size from 8 x 8 on, 1 or 3 channels.
        corruption: one of `benchmarks.data.spec.CORRUPTIONS`.
        severity: 1 to 5.
        seed: decides the noise, with the corruption's name and each image's number.
        first: number of the first image in its set; a set corrupted in parts gives the same bytes as at once.

    Raises:
        DataError: no such corruption or severity.
    """
    if corruption not in CORRUPTIONS or severity not in SEVERITIES:
        raise DataError(
            f"no corruption {corruption!r} of severity {severity}; there are {', '.join(CORRUPTIONS)} from 1 to 5"
        )
    strength = _strength(corruption, severity, max(images.shape[1:]))
    key = int.from_bytes(hashlib.sha256(f"{seed} {corruption}".encode()).digest()[:8], "big")
    pixels = torch.empty_like(images.pixels)
    step = max(1, _PIXELS_AT_ONCE // math.prod(images.shape))
    for start in range(0, len(images), step):
        x = images.pixels[start : start + step].to(torch.float32) / 255
        noise = ImageNoise(key, first + start, len(x))
        pixels[start : start + step] = _to_bytes(_KINDS[corruption](x, noise, strength))
    return replace(images, inputs=pixels)


def _to_bytes(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)


def _strength(corruption: str, severity: int, side: int) -> Strength:
    small, large = (table[severity - 1] for table in _STRENGTHS[corruption])
    part = min(1.0, max(0.0, math.log(side / 32) / math.log(224 / 32)))
    return tuple(math.exp(math.log(a) * (1 - part) + math.log(b) * part) for a, b in zip(small, large, strict=True))


def _gaussian_noise(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    return x + (noise.normal(*x.shape[1:]) * c[0]).to(x.dtype)


def _shot_noise(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    """Poisson counts by inversion: 256 grey levels have 256 distributions, tabulated."""
    photons = c[0]
    counts = torch.arange(math.ceil(photons + 8 * math.sqrt(photons) + 20), dtype=torch.float64)
    rates = torch.arange(256, dtype=torch.float64)[:, None] / 255 * photons
    log_mass = torch.xlogy(counts, rates) - rates - torch.lgamma(counts + 1)
    # Distribution function of level g, plus g: one ascending row, so that one search serves all levels.
    table = (log_mass.exp().cumsum(1).clamp(max=1 - 1e-12) + torch.arange(256)[:, None]).flatten()
    level = (x * 255).round().long()
    count = torch.searchsorted(table, noise.uniform(*x.shape[1:]) * (1 - 1e-11) + level) - level * len(counts)
    return (count / photons).to(x.dtype)


def _impulse_noise(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    draw = noise.uniform(*x.shape[1:])
    return torch.where(draw < c[0] / 2, 0.0, torch.where(draw < c[0], 1.0, x))


def _defocus_blur(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    return filters.convolved(x, filters.disk(c[0]))


def _glass_blur(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    """Blur, scatter each pixel to a near place, once or a few times, blur."""
    sigma, reach, times = c[0], c[1], round(c[2])
    x = filters.gaussian_blurred(x, sigma)
    for _ in range(times):
        offset = torch.round((noise.uniform(2, *x.shape[2:]) * 2 - 1) * (reach + 0.5)).long()
        x = filters.moved(x, offset[:, 0], offset[:, 1])
    return filters.gaussian_blurred(x, sigma)


def _motion_blur(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    angle = (noise.uniform() * 2 - 1) * math.pi / 4
    return filters.motion_blurred(x, round(c[0]), c[1], angle)


def _zoom_blur(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    total = 2 * x  # the image itself and its copy enlarged by 1
    for i in range(1, 11):
        total += filters.zoomed(x, 1 + c[0] * i / 10)
    return total / 12


def _snow(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    mean, spread, zoom, threshold, radius, sigma, keep = c
    height, width = x.shape[2:]
    flakes = (noise.normal(1, height, width) * spread + mean).to(x.dtype)
    flakes = filters.zoomed(flakes, zoom)
    flakes = torch.where(flakes < threshold, 0.0, flakes.clamp(0, 1))
    angle = -math.pi / 2 + (noise.uniform() * 2 - 1) * math.pi / 4
    flakes = filters.motion_blurred(flakes, round(radius), sigma, angle)
    pale = torch.maximum(x, _grey(x) * 1.5 + 0.5)
    return x * keep + pale * (1 - keep) + flakes + flakes.flip(2, 3)


def _frost(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    """Ice ferns: the ridges of two rough clouds, blue-white in colour images, laid over a darkened image."""
    height, width = x.shape[2:]
    size = 1 << max(3, (max(height, width) - 1).bit_length())
    first, second = (1 - (2 * noise.plasma(size, 1.35) - 1).abs() for _ in range(2))
    ice = torch.maximum(first * first * first, second * second * second)[:, None, :height, :width].to(x.dtype)
    tint = torch.tensor([0.85, 0.94, 1.0] if x.shape[1] == 3 else [1.0]).view(1, -1, 1, 1)
    return x * c[0] + ice * tint * c[1]


def _fog(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    height, width = x.shape[2:]
    size = 1 << max(3, (max(height, width) - 1).bit_length())
    mist = noise.plasma(size, c[1])[:, None, :height, :width].to(x.dtype)
    brightest = x.amax((1, 2, 3), keepdim=True)
    return (x + mist * c[0]) * brightest / (brightest + c[0])


def _brightness(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    """Raise the value of HSV and keep hue and saturation: every channel grows in proportion, black becomes grey."""
    value = x.amax(1, keepdim=True)
    brighter = (value + c[0]).clamp(max=1)
    return torch.where(value > 0, x * (brighter / value.clamp(min=1 / 255)), brighter)


def _contrast(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    # Sums of whole numbers are exact in any order.
    levels = (x * 255).round().long().sum((2, 3), keepdim=True)
    mean = (levels.to(torch.float64) / (255 * x.shape[2] * x.shape[3])).to(x.dtype)
    return (x - mean) * c[0] + mean


def _elastic_transform(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    """Move every pixel along a smooth random field of standard deviation c[0] and correlation length c[1] pixels."""
    field = noise.normal(2, *x.shape[2:])
    # Blurring white noise of variance 1 by sigma leaves the variance 1 / (4 pi sigma^2).
    field = filters.gaussian_blurred(field, c[1]) * (c[0] * 2 * math.sqrt(math.pi) * c[1])
    field = field.to(x.dtype)
    return filters.warped(x, field[:, 0], field[:, 1])


def _pixelate(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    def change(image: Image.Image) -> Image.Image:
        small = (max(1, round(image.width * c[0])), max(1, round(image.height * c[0])))
        return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)

    return _by_pillow(x, change)


def _jpeg_compression(x: Tensor, noise: ImageNoise, c: Strength) -> Tensor:
    def change(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=round(c[0]))
        return Image.open(file)

    return _by_pillow(x, change)


def _by_pillow(x: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    pictures = _to_bytes(x).permute(0, 2, 3, 1).numpy()
    grey = pictures.shape[3] == 1
    changed = [np.asarray(change(Image.fromarray(picture[..., 0] if grey else picture))) for picture in pictures]
    stacked = torch.from_numpy(np.stack(changed)).to(x.dtype) / 255
    return stacked[:, None] if grey else stacked.permute(0, 3, 1, 2)


def _grey(x: Tensor) -> Tensor:
    if x.shape[1] == 1:
        return x
    red, green, blue = x.split(1, 1)
    return red * 0.299 + green * 0.587 + blue * 0.114


_KINDS: dict[str, Corruption] = {
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "defocus_blur": _defocus_blur,
    "glass_blur": _glass_blur,
    "motion_blur": _motion_blur,
    "zoom_blur": _zoom_blur,
    "snow": _snow,
    "frost": _frost,
    "fog": _fog,
    "brightness": _brightness,
    "contrast": _contrast,
    "elastic_transform": _elastic_transform,
    "pixelate": _pixelate,
    "jpeg_compression": _jpeg_compression,
}


def _column(*values: float) -> tuple[Strength, ...]:
    return tuple((value,) for value in values)


# Corruption -> (severities 1 to 5 at 32 pixels, at 224 pixels); lengths in pixels.
_STRENGTHS: dict[str, tuple[tuple[Strength, ...], tuple[Strength, ...]]] = {
    "gaussian_noise": (_column(0.04, 0.06, 0.08, 0.09, 0.10), _column(0.08, 0.12, 0.18, 0.26, 0.38)),
    "shot_noise": (_column(500, 250, 100, 75, 50), _column(60, 25, 12, 5, 3)),
    "impulse_noise": (_column(0.01, 0.02, 0.03, 0.05, 0.07), _column(0.03, 0.06, 0.09, 0.17, 0.27)),
    "defocus_blur": (_column(0.8, 1.0, 1.2, 1.5, 1.8), _column(3, 4, 6, 8, 10)),
    "glass_blur": (
        ((0.4, 0.2, 1), (0.4, 0.4, 1), (0.4, 0.6, 1), (0.4, 0.8, 1), (0.4, 1, 1)),
        ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    ),
    "motion_blur": (
        ((6, 1), (6, 1.5), (6, 2), (8, 2.3), (9, 2.7)),
        ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    ),
    # How much the last of the averaged copies is enlarged.
    "zoom_blur": (_column(0.05, 0.10, 0.15, 0.20, 0.25), _column(0.10, 0.15, 0.20, 0.24, 0.30)),
    # Mean and spread of the noise, zoom, threshold, smear radius and sigma, share of the original kept.
    "snow": (
        (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
        (
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
    ),
    # Share of the original, share of the ice.
    "frost": (
        ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.45), (0.75, 0.5)),
        ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.75), (0.6, 0.8)),
    ),
    # Amount of mist, decay of its cloud.
    "fog": (
        ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
        ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    ),
    "brightness": (_column(0.05, 0.1, 0.15, 0.2, 0.3), _column(0.1, 0.2, 0.3, 0.4, 0.5)),
    "contrast": (_column(0.75, 0.5, 0.4, 0.3, 0.15), _column(0.4, 0.3, 0.2, 0.1, 0.05)),
    # Standard deviation of the movement, its correlation length.
    "elastic_transform": (
        ((0.5, 2), (0.75, 2), (1, 2), (1.25, 2), (1.5, 2)),
        ((1.2, 5), (1.9, 5), (2.6, 5), (3.3, 5), (4, 5)),
    ),
    # Share of the resolution kept.
    "pixelate": (_column(0.95, 0.9, 0.85, 0.75, 0.65), _column(0.6, 0.5, 0.4, 0.3, 0.25)),
    # JPEG quality.
    "jpeg_compression": (_column(80, 65, 58, 50, 40), _column(25, 18, 15, 10, 7)),
}
