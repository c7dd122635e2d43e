"""Predictions under draws of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from ivi.layers import Draw
from ivi.variationalize import random_layers


@final
@dataclass(frozen=True, eq=False)
class Draws:
    """Fixed noise for every random layer: the same weights for every batch.

    Attributes:
        noise: layer name -> z, [draws, D].
    """

    noise: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.noise.values())))


def sample_draws(net: nn.Module, num_draws: int, generator: torch.Generator | None = None) -> Draws:
    """Draw noise for ``num_draws`` sets of weights, from ``generator`` (None: torch's global one).

    The noise holds until the network's shapes change; the weights are mu + S z for the mu and S of the moment of use.
    """
    if num_draws < 1:
        raise ValueError(f"num_draws must be at least 1, not {num_draws}")
    return Draws({name: layer.noise_like(generator, num_draws) for name, layer in random_layers(net).items()})


def predict(net: nn.Module, x: Tensor, draws: int | Draws = 32, generator: torch.Generator | None = None) -> Tensor:
    """Logits under several draws of the weights.

    The network runs in evaluation mode (no dropout, running statistics) and its modes are restored. Gradients are
    recorded as usual: wrap the call in ``torch.inference_mode()`` where none are needed. A prediction averages the
    draws' *probabilities*, in log space: ``logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))``.

    Args:
        net: a network from `ivi.variationalize`, or one that contains it.
        x: inputs, [batch, ...].
        draws: how many, or fixed noise from `ivi.sample_draws`.
        generator: draws the noise where ``draws`` is a number.

    Returns:
        [draws, batch, classes].
    """
    fixed = sample_draws(net, draws, generator) if isinstance(draws, int) else draws
    layers = random_layers(net)
    if fixed.noise.keys() != layers.keys():
        raise ValueError(f"draws are of the layers {list(fixed.noise)}, the network's are {list(layers)}")
    with _held(net):
        outputs = []
        for index in range(len(fixed)):
            for name, layer in layers.items():
                layer.current_draw = Draw(fixed.noise[name][index], "one")
            outputs.append(net(x))
    return torch.stack(outputs)


@contextmanager
def _held(net: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in net.modules()]
    layers = random_layers(net).values()
    before = [(layer.sampler.held, layer.current_draw) for layer in layers]
    try:
        net.eval()
        for layer in layers:
            layer.sampler.held = True
        yield
    finally:
        for module, training in modes:
            module.training = training
        for layer, (held, draw) in zip(layers, before, strict=True):
            layer.sampler.held, layer.current_draw = held, draw
