"""Bounds on the spectral norms of a network's hidden layers, kept while it trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivi.layers import KINDS


class SpectralBound:
    """Scales each layer back to a spectral norm of at most ``bound`` after each step, by one power iteration a step.

    The norm of a convolution is that of its linear map on inputs of the size that it sees (Gouk et al. 2021,
    arXiv 1804.04368), not of its reshaped kernel. Layers that no input reaches are left alone. Normalization layers
    are not bounded, as in the papers that this is for.

    Args:
        model: a network.
        example: [1, ...], one of its inputs.
        head: its last layer, which is not bounded.
        bound: the largest norm.
        seed: of the vectors that the iterations begin with.
    """

    def __init__(self, model: nn.Module, example: Tensor, head: nn.Module, bound: float, seed: int) -> None:
        self.bound, self.vectors = bound, dict[Any, Tensor]()
        generator = torch.Generator().manual_seed(seed)

        def seen(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            size = inputs[0].shape[-1:] if isinstance(module, nn.Linear) else inputs[0].shape[1:]
            self.vectors[module] = torch.randn(1, *size, generator=generator).to(inputs[0])

        layers = [layer for layer in model.modules() if isinstance(layer, KINDS) and layer is not head]
        handles = [layer.register_forward_pre_hook(seen) for layer in layers]
        training = model.training
        try:
            with torch.no_grad():
                model.eval()(example)
        finally:
            model.train(training)
            for handle in handles:
                handle.remove()

    def after_step(self, done: int, total: int) -> None:
        """To be called after each step of training; the last one looks closer."""
        for layer in self.vectors:
            norm = self.norm(layer, 1 if done < total else 30)
            with torch.no_grad():
                layer.weight.mul_((self.bound / norm).clamp(max=1))

    def norm(self, layer: Any, iterations: int) -> Tensor:
        """Estimate of a layer's spectral norm from below, better with every iteration."""
        weight = layer.weight.detach()

        def apply(v: Tensor) -> Tensor:
            return F.linear(v, weight) if isinstance(layer, nn.Linear) else layer._conv_forward(v, weight, None)

        v = self.vectors[layer]
        for _ in range(iterations):
            seen: Any = torch.func.vjp(apply, v)  # the map, and its transpose
            v = seen[1](seen[0])[0]
            v = v / v.norm().clamp(min=1e-12)
        self.vectors[layer] = v
        return apply(v).norm()
