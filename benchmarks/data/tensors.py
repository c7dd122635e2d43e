"""Batches from tensors that live on the device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.data.examples import Affine
from benchmarks.data.spec import DataError

CROP_PADDING = 4
UNLABELLED = -1


class TensorSource:
    """A `BatchSource` (see `baselines.protocol`) over one split that fits on the device.

    Inputs stay as they are there and each batch is standardized when it is used: images take a quarter of the memory
    as bytes, and the black border that a crop lets in is black.

    Args:
        inputs: [N, channels, height, width] uint8 or [N, features] float32.
        labels: [N] int64 classes, or float32 targets in their own units; None: every label is -1, or NaN where
            ``affine`` has a target's units.
        affine: brings inputs, and real targets, to the units that models are trained in.
        device: where inputs and batches live.
        augment: "crop-flip" shifts images by up to 4 pixels each way and mirrors half of them, in `shuffled` only.
    """

    def __init__(
        self,
        inputs: Tensor,
        labels: Tensor | None,
        affine: Affine,
        device: torch.device | str = "cpu",
        augment: Literal["none", "crop-flip"] = "none",
    ) -> None:
        if augment == "crop-flip" and inputs.dim() != 4:
            raise DataError("augment = 'crop-flip' moves images; inputs of this shape have none")
        self._inputs, self._augment = inputs.to(device), augment
        self._labels = _targets(labels, affine, len(inputs)).to(device)
        self._scale, self._shift = affine.scale.to(device), affine.shift.to(device)

    @property
    def num_examples(self) -> int:
        """How many examples there are."""
        return len(self._inputs)

    def shuffled(self, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch in the order that ``seed`` decides, the same on every device; see `BatchSource.shuffled`."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(self.num_examples, generator=generator).to(self._inputs.device)
        moves = self._draw_moves(generator) if self._augment == "crop-flip" else None
        size = min(batch_size, self.num_examples)
        for start in range(0, self.num_examples - size + 1, size):
            index = order[start : start + size]
            inputs = self._inputs[index]
            if moves is not None:
                inputs = crop_flip(inputs, moves[start : start + size])
            yield self._standardized(inputs), self._labels[index]

    def ordered(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every example once, in its stored order, never augmented."""
        for inputs, labels in zip(self._inputs.split(batch_size), self._labels.split(batch_size), strict=True):
            yield self._standardized(inputs), labels

    def _standardized(self, inputs: Tensor) -> Tensor:
        return inputs.mul(self._scale).add_(self._shift)

    def _draw_moves(self, generator: torch.Generator) -> Tensor:
        shifts = torch.randint(0, 2 * CROP_PADDING + 1, (self.num_examples, 2), generator=generator)
        mirrored = torch.randint(0, 2, (self.num_examples, 1), generator=generator)
        return torch.cat([shifts, mirrored], 1).to(self._inputs.device)


def _targets(labels: Tensor | None, affine: Affine, count: int) -> Tensor:
    """Labels as models are trained on them, [N]: classes as they are, real targets standardized."""
    if affine.target_mean is None or affine.target_std is None:
        return labels if labels is not None else torch.full((count,), UNLABELLED)
    if labels is None:
        return torch.full((count,), float("nan"))
    return ((labels.double() - affine.target_mean) / affine.target_std).float()


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
