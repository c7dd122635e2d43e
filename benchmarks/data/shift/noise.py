"""Random fields that belong to an image's number, not to the batch it is computed in.

Every draw is a hash of (key, image number, draw, position), so any batch size and any order give the same bytes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


# Constants of SplitMix64 (Steele, Lea, Flood 2014), as torch's signed 64-bit integers.
_STEP = _signed(0x9E3779B97F4A7C15)
_MIX = (_signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB))


class ImageNoise:
    """Random numbers for images ``first`` to ``first + count`` - 1.

    Args:
        key: decides all draws.
        first: number of the first image in its set.
        count: how many images.
    """

    def __init__(self, key: int, first: int, count: int) -> None:
        self._images = torch.arange(first, first + count, dtype=torch.int64)
        self._key = key
        self._draws = 0

    def uniform(self, *shape: int) -> Tensor:
        """Uniform on [0, 1), [count, *shape] float64. Every call draws anew."""
        self._draws += 1
        stream = _mixed(torch.tensor(_signed((self._key * 1_000_003 + self._draws) % (1 << 64))))
        starts = _mixed(stream ^ (self._images * _STEP))
        positions = torch.arange(1, math.prod(shape) + 1, dtype=torch.int64) * _STEP
        bits = _mixed(starts[:, None] + positions)
        return (_shifted(bits, 11).to(torch.float64) * 2.0**-53).view(-1, *shape)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal by Box and Muller, [count, *shape] float64."""
        radius = torch.sqrt(-2 * torch.log1p(-self.uniform(*shape)))
        return radius * torch.cos(2 * math.pi * self.uniform(*shape))

    def plasma(self, size: int, decay: float) -> Tensor:
        """A cloud by the diamond-square algorithm, wrapped at its borders, from 0 to 1: [count, size, size] float64.

        Args:
            size: a power of two.
            decay: each halving of the scale divides the amplitude by ``decay`` squared; small means rough.
        """
        field = torch.zeros(len(self._images), size, size, dtype=torch.float64)
        amplitude, step = 1.0, size
        while step >= 2:
            half, cells = step // 2, size // step
            wobble = (2 * self.uniform(3, cells, cells) - 1) * amplitude
            corner = field[:, ::step, ::step]
            right, below = corner.roll(-1, 2), corner.roll(-1, 1)
            centre = (corner + right + below + below.roll(-1, 2)) / 4 + wobble[:, 0]
            field[:, half::step, half::step] = centre
            field[:, ::step, half::step] = (corner + right + centre + centre.roll(1, 1)) / 4 + wobble[:, 1]
            field[:, half::step, ::step] = (corner + below + centre + centre.roll(1, 2)) / 4 + wobble[:, 2]
            amplitude, step = amplitude / decay**2, half
        low = field.amin((1, 2), keepdim=True)
        return (field - low) / (field.amax((1, 2), keepdim=True) - low)


def _shifted(bits: Tensor, places: int) -> Tensor:
    """Logical shift to the right; torch's own copies the sign bit in."""
    return (bits >> places) & ((1 << (64 - places)) - 1)


def _mixed(bits: Tensor) -> Tensor:
    bits = (bits ^ _shifted(bits, 30)) * _MIX[0]
    bits = (bits ^ _shifted(bits, 27)) * _MIX[1]
    return bits ^ _shifted(bits, 31)
