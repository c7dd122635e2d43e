"""Initialization and learning rates as functions of a layer's shape and place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast, final

import torch
from torch import Tensor, nn

from ivi.covariance import LayerShape, Optimizer
from ivi.layers import KINDS, RandomLayer
from ivi.variationalize import trace_again

Place = Literal["input", "hidden", "output"]


class Parametrization(ABC):
    """How the initial std and the learning rate of weights and biases depend on their layer."""

    @abstractmethod
    def init_std(self, place: Place, shape: LayerShape) -> tuple[float, float]:
        """Std of initial weights and biases."""

    @abstractmethod
    def lr_multipliers(self, place: Place, shape: LayerShape, optimizer: Optimizer) -> tuple[float, float]:
        """Learning rates of weights and biases in units of the base rate."""

    @abstractmethod
    def vector_lr_multiplier(self, width: int, optimizer: Optimizer) -> float:
        """Learning rate of what no Linear or Conv owns (normalization, embeddings), ``width`` numbers in a row."""


@final
@dataclass(frozen=True)
class Standard(Parametrization):
    """Weights of std fan_in^-1/2, and one learning rate for all.

    Attributes:
        bias_std: std of initial biases.
    """

    bias_std: float = 1.0

    def init_std(self, place: Place, shape: LayerShape) -> tuple[float, float]:
        """fan_in^-1/2 and ``bias_std``."""
        return shape.fan_in**-0.5, self.bias_std

    def lr_multipliers(self, place: Place, shape: LayerShape, optimizer: Optimizer) -> tuple[float, float]:
        """1 and 1."""
        return 1.0, 1.0

    def vector_lr_multiplier(self, width: int, optimizer: Optimizer) -> float:
        """1."""
        return 1.0


@final
@dataclass(frozen=True)
class MaximalUpdate(Parametrization):
    """muP: the best learning rate should not move with the width. Tensor Programs V (arXiv 2203.03466), table 3.

    | layer  | std weight   | lr weight SGD | lr bias SGD | lr weight Adam | lr bias Adam |
    |--------|--------------|---------------|-------------|----------------|--------------|
    | input  | fan_in^-1/2  | fan_out       | fan_out     | 1              | 1            |
    | hidden | fan_in^-1/2  | 1             | fan_out     | 1 / fan_in     | 1            |
    | output | 1 / fan_in   | 1 / fan_in    | fan_out     | 1 / fan_in     | 1            |

    Attributes:
        base_width: counts widths in units of a base network's, so that at the base width learning rates are those of
            `Standard`, and the output's std too; kernel sizes and the number of classes then drop out. None: the
            table's absolute numbers, under which a good rate is far from a standard one's.
        bias_std: std of initial biases.
    """

    base_width: int | None = None
    bias_std: float = 1.0

    def _widths(self, shape: LayerShape) -> tuple[float, float]:
        if self.base_width is not None:
            return shape.weight[1] / self.base_width, shape.weight[0] / self.base_width
        return shape.fan_in, shape.num_weights / shape.weight[1]

    def init_std(self, place: Place, shape: LayerShape) -> tuple[float, float]:
        """See the table."""
        std = shape.fan_in**-0.5
        if place == "output":
            std *= self._widths(shape)[0] ** -0.5
        return std, self.bias_std

    def lr_multipliers(self, place: Place, shape: LayerShape, optimizer: Optimizer) -> tuple[float, float]:
        """See the table."""
        fan_in, fan_out = self._widths(shape)
        if place == "output" and self.base_width is not None:
            fan_out = 1.0
        if optimizer == "adam":
            return 1.0 if place == "input" else 1 / fan_in, 1.0
        return {"input": fan_out, "hidden": 1.0, "output": 1 / fan_in}[place], fan_out

    def vector_lr_multiplier(self, width: int, optimizer: Optimizer) -> float:
        """As for a bias of ``width`` outputs."""
        return 1.0 if optimizer == "adam" else width / (self.base_width or 1)


def initialize_(
    net: nn.Module,
    parametrization: Parametrization,
    generator: torch.Generator | None = None,
    example: Any = None,
) -> nn.Module:
    """Draw every Linear and Conv1d/2d/3d anew, covariance factors included; everything else stays as it is.

    Args:
        net: any network.
        parametrization: says the std of weights and biases; factors get it as their marginal std.
        generator: None for the global one.
        example: a batch to find the input and output layer with; see `param_groups`.

    Returns:
        ``net``, changed in place.
    """
    for place, layer in _placed_layers(net, parametrization, example):
        shape = _shape(layer)
        std = parametrization.init_std(place, shape)
        for parameter, sigma in zip((layer.weight, layer.bias), std, strict=True):
            if isinstance(parameter, Tensor):
                device = parameter.device if generator is None else generator.device
                with torch.no_grad():
                    parameter.copy_(torch.randn(parameter.shape, generator=generator, device=device) * sigma)
        if isinstance(layer, RandomLayer):
            layer.prior_std = std
            layer.covariance.initialize_(layer.factors, shape, std, generator)
    return net


def param_groups(
    net: nn.Module,
    lr: float,
    parametrization: Parametrization = Standard(),  # noqa: B008  frozen
    optimizer: Optimizer = "sgd",
    example: Any = None,
) -> list[dict[str, Any]]:
    """Optimizer groups that hold every trainable parameter exactly once, normalization and biases included.

    Covariance factors get the rate of the weights or biases that they stand for times 1/R (SGD) or 1/sqrt(R) (Adam),
    and weight decay 0 of their own, whatever the optimizer's is: decay of S would be a second regularizer that draws
    the noise to zero (of the logarithm of a std, to one). Who wants it changes the groups' ``weight_decay``.

    Args:
        net: any network.
        lr: the base learning rate.
        parametrization: how rates depend on a layer's shape and place.
        optimizer: "sgd" or "adam", whichever the groups are for.
        example: a batch to find the input and the output layer with. Not needed under `Standard`, nor for networks
            that `ivi.variationalize` traced, nor for timm models.

    Returns:
        Dictionaries with ``params``, ``lr`` and ``kind`` ("mean" or "covariance"); those of covariances have
        ``weight_decay`` too.
    """
    if optimizer not in ("sgd", "adam"):
        raise ValueError(f"optimizer must be 'sgd' or 'adam', not {optimizer!r}")
    rates: dict[int, tuple[str, float]] = {}
    for place, layer in _placed_layers(net, parametrization, example):
        shape = _shape(layer)
        multipliers = parametrization.lr_multipliers(place, shape, optimizer)
        for parameter, multiplier in zip((layer.weight, layer.bias), multipliers, strict=True):
            rates[id(parameter)] = ("mean", multiplier)
        if isinstance(layer, RandomLayer):
            for name, factor in layer.factors.items():
                own = layer.covariance.lr_multiplier(name, shape, optimizer)
                rates[id(factor)] = ("covariance", own * multipliers[name.startswith("bias")])
    groups: dict[tuple[str, float], dict[str, Any]] = {}
    for parameter in net.parameters():
        if parameter.requires_grad:
            width = parameter.shape[-1] if parameter.dim() else 1
            other = ("mean", parametrization.vector_lr_multiplier(width, optimizer))
            key = rates.get(id(parameter), other)
            fixed = {"weight_decay": 0.0} if key[0] == "covariance" else {}
            group = groups.setdefault(key, {"params": [], "lr": lr * key[1], "kind": key[0], **fixed})
            group["params"].append(parameter)
    return list(groups.values())


def _placed_layers(net: nn.Module, parametrization: Parametrization, example: Any) -> Iterator[tuple[Place, nn.Module]]:
    layers = [module for module in net.modules() if isinstance(module, KINDS)]
    if isinstance(parametrization, Standard):
        for layer in layers:
            yield "hidden", layer
        return
    # Anew each time: since the last one the head may have been replaced.
    calls = trace_again(net, example).calls
    for layer in layers:
        yield "input" if layer is calls[0] else "output" if layer is calls[-1] else "hidden", layer


def _shape(layer: nn.Module) -> LayerShape:
    bias = cast("Tensor | None", layer.bias)
    return LayerShape(tuple(cast(Tensor, layer.weight).shape), 0 if bias is None else bias.numel())
