"""Fixed draws of the weights: noise that is held, or seeds from which it is made when it is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from ivi.layers import RandomLayer
from ivi.variationalize import call_order, random_layers

_BLOCK = 4096
"""Numbers that one seed makes at least: a generator costs as much as a few thousand of them."""


@final
@dataclass(frozen=True, eq=False)
class Draws:
    """Fixed noise for every random layer: the same weights for every batch.

    Attributes:
        noise: layer name -> z, [passes, D]; for the head, if there is one, [passes * head_draws, D].
        head: name of the layer that has ``head_draws`` draws for each pass through the others, or None.
        head_draws: how many.
    """

    noise: Mapping[str, Tensor]
    head: str | None = None
    head_draws: int = 1

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers drawn for."""
        return tuple(self.noise)

    @property
    def num_passes(self) -> int:
        """Number of passes through the layers before the head."""
        return min(len(z) for z in self.noise.values()) if len(self.noise) > 1 or self.head is None else 1

    def __len__(self) -> int:
        return max(len(z) for z in self.noise.values())

    def part(self, name: str, layer: RandomLayer, start: int, stop: int) -> Tensor:
        """z of the layer's draws from ``start`` to before ``stop``, [stop - start, D]."""
        return self.noise[name][start:stop]


@final
@dataclass(frozen=True)
class SeededDraws:
    """Fixed draws of which only a seed is kept: each layer's noise is made when a prediction comes to it.

    The numbers depend on the seed, the layer's name, the length of its noise and the draw's index alone. They are made
    on the CPU, so that every device sees the same ones, and the first draws of many are those of few.

    Attributes:
        seed: any integer.
        layers: names of the layers drawn for.
        num_passes: number of passes through the layers before the head.
        head: name of the layer that has ``head_draws`` draws for each pass through the others, or None.
        head_draws: how many.
    """

    seed: int
    layers: tuple[str, ...]
    num_passes: int
    head: str | None = None
    head_draws: int = 1

    def __len__(self) -> int:
        return self.num_passes * self.head_draws

    def part(self, name: str, layer: RandomLayer, start: int, stop: int) -> Tensor:
        """z of the layer's draws from ``start`` to before ``stop``, [stop - start, D]; equal to the bit every time."""
        rows = max(1, _BLOCK // max(1, layer.covariance.noise_size(layer.shape)))
        first, last = start // rows, (stop - 1) // rows
        blocks = [layer.noise_like(self._generator(name, index), rows) for index in range(first, last + 1)]
        z = blocks[0] if len(blocks) == 1 else torch.cat(blocks)
        return z[start - first * rows : stop - first * rows]

    def _generator(self, name: str, block: int) -> torch.Generator:
        digest = hashlib.blake2b(f"{self.seed}/{block}/{name}".encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def sample_draws(
    net: nn.Module, num_draws: int, generator: torch.Generator | None = None, head_draws: int = 1
) -> Draws:
    """Draw noise for ``num_draws * head_draws`` sets of weights, from ``generator`` (None: torch's global one).

    The weights are mu + S z for the mu and S of the moment of use, so draws may be sampled before training. All noise
    is held: for a covariance with as many columns as weights (`ivi.Diagonal`, `ivi.Full`) that is a set of weights for
    each draw, and `ivi.seeded_draws` holds nothing.

    Args:
        net: a variational network.
        num_draws: joint draws of all layers.
        generator: on any device.
        head_draws: draws of the last random layer for each draw of the others. Given the others' weights the last
            layer's outputs are independent draws, and they cost one small product each instead of a pass.
    """
    layers = random_layers(net)
    head, per_pass = _head(net, layers, num_draws, head_draws)
    counts = {name: num_draws * head_draws if name == head else num_draws for name in layers}
    noise = {name: layer.noise_like(generator, counts[name]) for name, layer in layers.items()}
    return Draws(noise, head, per_pass)


def seeded_draws(net: nn.Module, num_draws: int, seed: int, head_draws: int = 1) -> SeededDraws:
    """Fixed draws that are kept as a seed; predicting holds one block of a layer's draws at a time.

    Args:
        net: a variational network, before or after training.
        num_draws: joint draws of all layers.
        seed: any integer; decides all numbers, on every device.
        head_draws: draws of the last random layer for each draw of the others; see `ivi.sample_draws`.
    """
    layers = random_layers(net)
    head, per_pass = _head(net, layers, num_draws, head_draws)
    return SeededDraws(seed, tuple(layers), num_draws * head_draws // per_pass, head, per_pass)


def _head(net: nn.Module, layers: Mapping[str, RandomLayer], num_draws: int, head_draws: int) -> tuple[str | None, int]:
    """Name of the layer that has draws of its own within a pass, and how many; a sole layer has all of them."""
    if min(num_draws, head_draws) < 1:
        raise ValueError(f"num_draws and head_draws must be at least 1, not {num_draws} and {head_draws}")
    if len(layers) == 1:
        return next(iter(layers)), num_draws * head_draws
    return (call_order(net, layers)[-1] if head_draws > 1 else None), head_draws
