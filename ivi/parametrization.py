"""Learning rates and initialization for every parameter of a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

from torch import nn

from ivi.covariance import Optimizer
from ivi.layers import RandomLayer


class Parametrization(ABC):
    """How initialization and learning rates depend on the shape of a layer."""

    @abstractmethod
    def lr_multiplier(self, optimizer: Optimizer) -> float:
        """Learning rate of a mean in units of the base learning rate."""


@final
@dataclass(frozen=True)
class Standard(Parametrization):
    """One learning rate for all means, whatever their shape."""

    def lr_multiplier(self, optimizer: Optimizer) -> float:
        """1."""
        return 1.0


def param_groups(
    net: nn.Module,
    lr: float,
    parametrization: Parametrization = Standard(),
    optimizer: Optimizer = "sgd",  # noqa: B008
) -> list[dict[str, Any]]:
    """Optimizer groups that hold every trainable parameter exactly once, normalization and biases included.

    Covariance factors get the rate of the mean that they stand for times 1/R (SGD) or 1/sqrt(R) (Adam).

    Args:
        net: any network.
        lr: the learning rate of means.
        parametrization: how rates depend on a layer's shape.
        optimizer: "sgd" or "adam", whichever the groups are for.

    Returns:
        Dictionaries with ``params``, ``lr`` and ``kind`` ("mean" or "covariance").
    """
    if optimizer not in ("sgd", "adam"):
        raise ValueError(f"optimizer must be 'sgd' or 'adam', not {optimizer!r}")
    factors: dict[int, float] = {}
    for layer in net.modules():
        if isinstance(layer, RandomLayer):
            for name, factor in layer.factors.items():
                factors[id(factor)] = layer.covariance.lr_multiplier(name, layer.shape, optimizer)
    groups: dict[tuple[str, float], dict[str, Any]] = {}
    for parameter in net.parameters():
        if parameter.requires_grad:
            kind = "covariance" if id(parameter) in factors else "mean"
            rate = lr * factors.get(id(parameter), 1.0)
            groups.setdefault((kind, rate), {"params": [], "lr": rate, "kind": kind})["params"].append(parameter)
    return list(groups.values())
