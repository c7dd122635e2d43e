"""Images in memory: what every source decodes to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.data.spec import DataError

# ITU-R 601-2, the weights with which PIL turns colour into grey.
_LUMA = torch.tensor([299, 587, 114], dtype=torch.int32).view(1, 3, 1, 1)


@dataclass(frozen=True)
class Images:
    """One split of a data set, on the CPU.

    Attributes:
        pixels: [N, channels, height, width] uint8.
        labels: [N] int64, indices into ``classes``; None where the images have no class of the task.
        classes: names of the classes, in label order.
    """

    pixels: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of shape, pixels and labels. Class names are left out, since sources spell them freely."""
        digest = hashlib.sha256(f"uint8 {tuple(self.pixels.shape)} {self.labels is not None}".encode())
        digest.update(_raw(self.pixels))
        if self.labels is not None:
            digest.update(_raw(self.labels.to(torch.int64)))
        return digest.hexdigest()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, index: Tensor) -> Images:
        """The images at ``index`` ([M] int64), copied."""
        return replace(self, pixels=self.pixels[index], labels=None if self.labels is None else self.labels[index])


def split(images: Images, seed: int, sizes: Mapping[str, int]) -> dict[str, Images]:
    """Disjoint parts of ``images``, cut one after the other from one permutation that only ``seed`` decides.

    Args:
        images: what is cut; images beyond the sum of ``sizes`` are left out.
        seed: the same seed gives the same parts on every machine.
        sizes: name of the part -> how many images.

    Raises:
        DataError: ``sizes`` ask for more images than there are, or for an empty part.
    """
    return {name: images.take(index) for name, index in cut(len(images), seed, sizes).items()}


def cut(count: int, seed: int, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """Which of ``count`` images each part of `split` has: name of the part -> their numbers, [size] int64.

    Raises:
        DataError: as `split`.
    """
    if min(sizes.values(), default=0) < 1 or sum(sizes.values()) > count:
        asked = " + ".join(f"{name} {size:,}" for name, size in sizes.items()) or "no part"
        raise DataError(f"cannot cut {asked} from {count:,} images: each part needs at least one, together at most all")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    parts = torch.split(order[: sum(sizes.values())], list(sizes.values()))
    return dict(zip(sizes, parts, strict=True))


def repeated(images: Images, among: Images) -> int:
    """How many of ``images`` are, pixel for pixel, also ``among`` others (of another shape: none are)."""
    if images.shape != among.shape:
        return 0
    known = set(_digests(among))
    return sum(digest in known for digest in _digests(images))


def duplicates(images: Images) -> int:
    """How many of ``images`` are, pixel for pixel, equal to an earlier one."""
    return len(images) - len(set(_digests(images)))


def like(images: Images, shape: tuple[int, int, int]) -> Images:
    """``images`` as a task of input ``shape`` (channels, height, width) would have prepared them.

    Colour becomes grey by luma, grey becomes colour by repetition; the shorter side is resized (bilinear, with
    antialiasing) to cover ``shape`` and the centre is cut out.
    """
    channels, height, width = shape
    pixels = _with_channels(images.pixels, channels)
    if tuple(pixels.shape[2:]) != (height, width):
        pixels = _resized(pixels, height, width)
    return replace(images, pixels=pixels)


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
    top, left = (image.height - box_height) / 2, (image.width - box_width) / 2
    box = (left, top, left + box_width, top + box_height)
    return image.resize((width, height), Image.Resampling.BILINEAR, box=box)


def _digests(images: Images) -> list[bytes]:
    rows = images.pixels.contiguous().numpy().reshape(len(images), -1)
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]


def _raw(tensor: Tensor) -> memoryview:
    return tensor.contiguous().numpy().reshape(-1).view(np.uint8).data
