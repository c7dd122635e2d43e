"""Blurs and warps for `benchmarks.data.shift.corruptions`, all of images [N, channels, height, width].

Written as sums of shifted copies and gathers: each output pixel is then the same sequence of float operations whatever
the batch, which convolution routines do not promise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

Taps = list[tuple[int, int, float]]


def convolved(x: Tensor, taps: Taps) -> Tensor:
    """Sum of copies of ``x`` moved by (rows, columns) and weighted; the border is continued by its own pixels."""
    reach = max(max(abs(down), abs(right)) for down, right, _ in taps)
    height, width = x.shape[2:]
    padded = functional.pad(x, (reach,) * 4, mode="replicate")
    total = torch.zeros_like(x)
    for down, right, weight in taps:
        total += padded[:, :, reach + down : reach + down + height, reach + right : reach + right + width] * weight
    return total


def gaussian_blurred(x: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian of ``sigma`` pixels, cut at 3 sigma."""
    reach = max(1, math.ceil(3 * sigma))
    weights = [math.exp(-((i / sigma) ** 2) / 2) for i in range(-reach, reach + 1)]
    total = sum(weights)
    rows: Taps = [(i - reach, 0, weight / total) for i, weight in enumerate(weights)]
    return convolved(convolved(x, rows), [(right, down, weight) for down, right, weight in rows])


def disk(radius: float, fineness: int = 16) -> Taps:
    """A disk of ``radius`` pixels: each tap weighs the part of its pixel that the disk covers."""
    reach = math.ceil(radius - 0.5)
    steps = (torch.arange((2 * reach + 1) * fineness, dtype=torch.float64) + 0.5) / fineness - reach - 0.5
    inside = (steps[:, None] ** 2 + steps[None, :] ** 2 <= radius**2).to(torch.float64)
    cover = inside.view(2 * reach + 1, fineness, 2 * reach + 1, fineness).sum((1, 3))
    total = float(cover.sum())
    return [
        (row - reach, column - reach, float(cover[row, column]) / total)
        for row in range(2 * reach + 1)
        for column in range(2 * reach + 1)
        if cover[row, column] > 0
    ]


def motion_blurred(x: Tensor, radius: int, sigma: float, angle: Tensor) -> Tensor:
    """Smear each image along its own direction.

    Args:
        x: [N, channels, height, width].
        radius: how many pixels far.
        sigma: a pixel at distance i weighs as a Gaussian of this width does at i.
        angle: [N], radians.
    """
    weights = [math.exp(-((i / sigma) ** 2) / 2) for i in range(radius + 1)]
    total = torch.zeros_like(x)
    for i, weight in enumerate(weights):
        down, right = torch.round(i * torch.sin(angle)).long(), torch.round(i * torch.cos(angle)).long()
        total += moved(x, down[:, None, None], right[:, None, None]) * (weight / sum(weights))
    return total


def moved(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Take each pixel from (row + down, column + right); offsets are int64, [N, height, width] or broadcast to it."""
    height, width = x.shape[2:]
    rows = (torch.arange(height)[:, None] + down).clamp(0, height - 1)
    columns = (torch.arange(width) + right).clamp(0, width - 1)
    index = (rows * width + columns).flatten(1)[:, None].expand(-1, x.shape[1], -1)
    return x.flatten(2).gather(2, index).view(x.shape)


def warped(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """As `moved` by fractions of pixels ([N, height, width] float), bilinear."""
    top, left = torch.floor(down), torch.floor(right)
    vertical, horizontal = (down - top)[:, None], (right - left)[:, None]
    top, left = top.long(), left.long()
    upper = moved(x, top, left) * (1 - horizontal) + moved(x, top, left + 1) * horizontal
    lower = moved(x, top + 1, left) * (1 - horizontal) + moved(x, top + 1, left + 1) * horizontal
    return upper * (1 - vertical) + lower * vertical


def zoomed(x: Tensor, factor: float) -> Tensor:
    """Enlarge by ``factor`` about the centre and cut the original size out, bilinear."""
    for dim in (2, 3):
        size = x.shape[dim]
        centre = (size - 1) / 2
        position = (torch.arange(size, dtype=torch.float64) - centre) / factor + centre
        low = position.floor().long().clamp(0, max(0, size - 2))
        weight = (position - low).to(x.dtype).view(-1, *[1] * (3 - dim))
        x = x.index_select(dim, low) * (1 - weight) + x.index_select(dim, (low + 1).clamp(max=size - 1)) * weight
    return x
