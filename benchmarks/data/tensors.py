"""Batches from tensors that live on the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.data.images import Images

CROP_PADDING = 4
UNLABELLED = -1


class TensorSource:
    """A `BatchSource` (see `baselines.protocol`) over one split that fits on the device.

    The images stay uint8 there and each batch is normalized when it is used: a quarter of the memory, and the black
    border that a crop lets in is black. Images without labels get the label -1.

    Args:
        images: the split.
        mean, std: per channel, of pixels scaled to [0, 1].
        device: where the images and batches live.
        augment: "crop-flip" shifts by up to 4 pixels each way and mirrors half of the images, in `shuffled` only.
    """

    def __init__(
        self,
        images: Images,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device | str = "cpu",
        augment: Literal["none", "crop-flip"] = "none",
    ) -> None:
        labels = images.labels if images.labels is not None else torch.full((len(images),), UNLABELLED)
        self._pixels = images.pixels.to(device)
        self._labels = labels.to(device)
        channel_std = torch.tensor(std, device=device).view(1, -1, 1, 1)
        self._scale = 1 / (255 * channel_std)
        self._shift = -torch.tensor(mean, device=device).view(1, -1, 1, 1) / channel_std
        self._augment = augment

    @property
    def num_examples(self) -> int:
        """How many images there are."""
        return len(self._pixels)

    def shuffled(self, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch in the order that ``seed`` decides, the same on every device; see `BatchSource.shuffled`."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(self.num_examples, generator=generator).to(self._pixels.device)
        moves = self._draw_moves(generator) if self._augment == "crop-flip" else None
        size = min(batch_size, self.num_examples)
        for start in range(0, self.num_examples - size + 1, size):
            index = order[start : start + size]
            pixels = self._pixels[index]
            if moves is not None:
                pixels = crop_flip(pixels, moves[start : start + size])
            yield self._normalized(pixels), self._labels[index]

    def ordered(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once, in its stored order, never augmented."""
        for pixels, labels in zip(self._pixels.split(batch_size), self._labels.split(batch_size), strict=True):
            yield self._normalized(pixels), labels

    def _normalized(self, pixels: Tensor) -> Tensor:
        return pixels.mul(self._scale).add_(self._shift)

    def _draw_moves(self, generator: torch.Generator) -> Tensor:
        shifts = torch.randint(0, 2 * CROP_PADDING + 1, (self.num_examples, 2), generator=generator)
        mirrored = torch.randint(0, 2, (self.num_examples, 1), generator=generator)
        return torch.cat([shifts, mirrored], 1).to(self._pixels.device)


def crop_flip(pixels: Tensor, moves: Tensor) -> Tensor:
    """Pad by 4 black pixels, cut the original size out again elsewhere, and mirror some images.

    Args:
        pixels: [batch, channels, height, width].
        moves: [batch, 3] int64: first row and first column of the cut in the padded image (0 to 8), 1 to mirror.
    """
    batch, channels, height, width = pixels.shape
    padded = functional.pad(pixels, (CROP_PADDING,) * 4)
    top, left, mirrored = moves.unbind(1)
    rows = top[:, None] + torch.arange(height, device=pixels.device)
    columns = torch.arange(width, device=pixels.device).expand(batch, -1)
    columns = left[:, None] + torch.where(mirrored[:, None] == 1, width - 1 - columns, columns)
    flat = rows[:, :, None] * padded.shape[3] + columns[:, None, :]
    picked = padded.flatten(2).gather(2, flat.view(batch, 1, -1).expand(-1, channels, -1))
    return picked.view(batch, channels, height, width)
