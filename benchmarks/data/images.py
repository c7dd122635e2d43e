"""Images in memory: what every source of an image set decodes to."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.data.examples import Affine, Examples
from benchmarks.data.spec import DataError, ImageSpec

log = logging.getLogger(__name__)

# ITU-R 601-2, the weights with which PIL turns colour into grey.
_LUMA = torch.tensor([299, 587, 114], dtype=torch.int32).view(1, 3, 1, 1)
_LOOKED_AT = 2000


@dataclass(frozen=True)
class Images(Examples):
    """One split of an image set, on the CPU: ``inputs`` are pixels, [N, channels, height, width] uint8."""

    @property
    def pixels(self) -> Tensor:
        """The inputs."""
        return self.inputs

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        channels, height, width = self.inputs.shape[1:]
        return channels, height, width

    def affine(self, spec: ImageSpec) -> Affine:
        """Pixels in [0, 1], less the spec's mean, over its deviation; says so where that does not fit these pixels."""
        self._question(spec)
        return image_affine(spec)

    def _question(self, spec: ImageSpec) -> None:
        some = self.pixels[:: max(1, len(self) // _LOOKED_AT)].double() / 255
        own_mean, own_std = some.mean((0, 2, 3)), some.std((0, 2, 3), correction=0)
        mean, std = torch.tensor(spec.mean).double(), torch.tensor(spec.std).double()
        if bool((((own_mean - mean) / std).abs() > 2).any() or ((own_std / std - 1).abs() > 2).any()):
            log.warning(
                "%s: mean %s and std %s are far from the training pixels' own, %s and %s: are they in units of [0, 1]?",
                spec.name,
                list(spec.mean),
                list(spec.std),
                _rounded(own_mean),
                _rounded(own_std),
            )


def image_affine(spec: ImageSpec) -> Affine:
    """The spec's normalization, [1, channels, 1, 1]: x = pixels * scale + shift."""
    std = torch.tensor(spec.std).view(1, -1, 1, 1)
    return Affine(1 / (255 * std), -torch.tensor(spec.mean).view(1, -1, 1, 1) / std)


def _rounded(numbers: Tensor) -> list[float]:
    return [round(number, 4) for number in numbers.tolist()]


def like(images: Images, shape: tuple[int, int, int]) -> Images:
    """``images`` as a task of input ``shape`` (channels, height, width) would have prepared them.

    Colour becomes grey by luma, grey becomes colour by repetition; the shorter side is resized (bilinear, with
    antialiasing) to cover ``shape`` and the centre is cut out.
    """
    channels, height, width = shape
    pixels = _with_channels(images.pixels, channels)
    if tuple(pixels.shape[2:]) != (height, width):
        pixels = _resized(pixels, height, width)
    return replace(images, inputs=pixels)


def _with_channels(pixels: Tensor, channels: int) -> Tensor:
    have = pixels.shape[1]
    if have == channels:
        return pixels
    if have == 1:
        return pixels.expand(-1, channels, -1, -1).contiguous()
    if have == 3 and channels == 1:
        return ((pixels.int() * _LUMA).sum(1, keepdim=True).add_(500) // 1000).to(torch.uint8)
    raise DataError(f"cannot turn images of {have} channels into images of {channels}; 1 and 3 convert into each other")


def _resized(pixels: Tensor, height: int, width: int) -> Tensor:
    # PIL works in fixed point: the same bytes on every machine, which torch's float kernels do not promise.
    out = np.empty((*pixels.shape[:2], height, width), dtype=np.uint8)
    for target, source in zip(out, pixels.numpy(), strict=True):
        for plane, image in zip(target, source, strict=True):
            plane[:] = np.asarray(cover(Image.fromarray(image), height, width))
    return torch.from_numpy(out)


def cover(image: Image.Image, height: int, width: int) -> Image.Image:
    """Resize ``image``, keeping its aspect, to cover ``height`` x ``width`` pixels, and cut out the centre."""
    scale = max(height / image.height, width / image.width)
    box_height, box_width = height / scale, width / scale
    top, left = max(0.0, (image.height - box_height) / 2), max(0.0, (image.width - box_width) / 2)
    # The side that fits exactly is rounded to a hair outside of some pictures, which Pillow refuses.
    box = (left, top, min(image.width, left + box_width), min(image.height, top + box_height))
    return image.resize((width, height), Image.Resampling.BILINEAR, box=box)
