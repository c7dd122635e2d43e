"""Structures for the covariance S Sᵀ of one layer's weights and bias, taken as one vector of P numbers.

A covariance is a frozen description that any number of layers may share. The layer owns the factors, its parameters.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

Optimizer = Literal["sgd", "adam"]
Factors = Mapping[str, Tensor]


@dataclass(frozen=True)
class LayerShape:
    """What a covariance must know of its layer.

    Attributes:
        weight: shape of the weight, [outputs, inputs / groups, *kernel].
        bias: number of biases, 0 for a layer without.
    """

    weight: tuple[int, ...]
    bias: int

    @property
    def num_weights(self) -> int:
        """Number of weights."""
        return math.prod(self.weight)

    @property
    def size(self) -> int:
        """P: number of weights and biases."""
        return self.num_weights + self.bias

    @property
    def fan_in(self) -> int:
        """Inputs that one output sees."""
        return math.prod(self.weight[1:])

    def split(self, flat: Tensor) -> tuple[Tensor, Tensor | None]:
        """Cut [..., P] into a weight [..., *shape] and a bias [..., outputs] (None for a layer without)."""
        lead = flat.shape[:-1]
        weight = flat[..., : self.num_weights].reshape(*lead, *self.weight)
        return weight, flat[..., self.num_weights :] if self.bias else None


class Covariance(ABC):
    """A structure for the factor S [P, D] in w = mu + S z, z ~ N(0, I_D)."""

    @abstractmethod
    def factor_shapes(self, shape: LayerShape) -> dict[str, tuple[int, ...]]:
        """Shape of each factor by the name under which the layer's state dict holds it."""

    @abstractmethod
    def noise_size(self, shape: LayerShape) -> int:
        """D, the length of z."""

    @abstractmethod
    def initialize_(
        self, factors: Factors, shape: LayerShape, std: tuple[float, float], generator: torch.Generator | None
    ) -> None:
        """Overwrite the factors so that the marginal std of weights and biases is ``std`` times ``scale``."""

    @abstractmethod
    def offset(self, factors: Factors, shape: LayerShape, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """S z for z [..., D], as a weight [..., *shape] and a bias [..., outputs]."""

    @abstractmethod
    def rows(self, factors: Factors, shape: LayerShape) -> Tensor:
        """Sᵀ written out, [D, P]; weights come before biases."""

    @abstractmethod
    def lr_multiplier(self, name: str, shape: LayerShape, optimizer: Optimizer) -> float:
        """Learning rate of factor ``name`` in units of that of the mean it stands for."""

    def basis_size(self, shape: LayerShape) -> int | None:
        """D where S has few enough columns to use each as a layer of its own, else None."""
        return None


def normal_(factor: Tensor, std: float, generator: torch.Generator | None) -> None:
    """Overwrite ``factor`` with draws from N(0, std²), made on the generator's device."""
    device = factor.device if generator is None else generator.device
    noise = torch.randn(factor.shape, generator=generator, device=device)
    with torch.no_grad():
        factor.copy_(noise * std)


DEFAULT_SCALE = 0.1
"""Initial std of the noise in units of the weights' own; chosen in docs/decisions/0013-the-scale-of-the-prior.md."""


def check_scale(scale: float) -> None:
    """Raise a ValueError where ``scale`` is negative or not finite."""
    if not math.isfinite(scale) or scale < 0:
        raise ValueError(f"scale must be a number of at least 0, not {scale}")


def check_rank(name: str, rank: int, least: int) -> None:
    """Raise a ValueError where ``rank``, called ``name``, is no whole number or less than ``least``."""
    if not isinstance(rank, int) or rank < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {rank}")


def rank_multiplier(rank: int, optimizer: Optimizer, scale: float) -> float:
    """Learning rate of a factor of ``rank`` columns that starts at ``scale``, in units of that of the weights."""
    # S = scale S'/sqrt(R) with entries of S' on the scale of the weights. Adam moves every number by the learning rate
    # whatever its gradient, so that a step on S' is this step on S; at the mean's own rate a small S would be lost in
    # the noise of its gradients within a few steps. Gradient descent weighs its steps itself, but for the rank.
    return 1 / rank if optimizer == "sgd" else scale * rank**-0.5


def _dense_shapes(columns: int, shape: LayerShape) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"weight_factor": (columns, shape.num_weights)}
    if shape.bias:
        shapes["bias_factor"] = (columns, shape.bias)
    return shapes


def _dense_offset(factors: Factors, shape: LayerShape, z: Tensor) -> tuple[Tensor, Tensor | None]:
    weight = (z @ factors["weight_factor"]).reshape(*z.shape[:-1], *shape.weight)
    return weight, z @ factors["bias_factor"] if shape.bias else None


def _dense_rows(factors: Factors, shape: LayerShape) -> Tensor:
    return torch.cat([factors["weight_factor"], factors["bias_factor"]], 1) if shape.bias else factors["weight_factor"]


@final
@dataclass(frozen=True)
class LowRank(Covariance):
    """S is dense with ``rank`` columns, as in the paper (arXiv 2505.20235).

    Attributes:
        rank: R; a layer of fewer than R parameters uses that many. 0 is no covariance at all: the plain network.
        scale: initial marginal std in units of the layer's own std; see ``unit`` of `ivi.variationalize`.

    Factors: ``weight_factor`` [R, weights] and ``bias_factor`` [R, outputs].
    """

    rank: int
    scale: float = DEFAULT_SCALE

    def __post_init__(self) -> None:
        check_rank("rank", self.rank, 0)
        check_scale(self.scale)

    def factor_shapes(self, shape: LayerShape) -> dict[str, tuple[int, ...]]:
        """See `Covariance`."""
        return _dense_shapes(self.noise_size(shape), shape)

    def noise_size(self, shape: LayerShape) -> int:
        """R, or P where that is less."""
        return min(self.rank, shape.size)

    def basis_size(self, shape: LayerShape) -> int:
        """R, or P where that is less."""
        return self.noise_size(shape)

    def initialize_(
        self, factors: Factors, shape: LayerShape, std: tuple[float, float], generator: torch.Generator | None
    ) -> None:
        """Draw every entry from N(0, std² / R)."""
        shrink = self.scale * max(1, self.noise_size(shape)) ** -0.5
        for factor, sigma in zip(factors.values(), std, strict=False):
            normal_(factor, sigma * shrink, generator)

    def offset(self, factors: Factors, shape: LayerShape, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Covariance`."""
        return _dense_offset(factors, shape, z)

    def rows(self, factors: Factors, shape: LayerShape) -> Tensor:
        """See `Covariance`."""
        return _dense_rows(factors, shape)

    def lr_multiplier(self, name: str, shape: LayerShape, optimizer: Optimizer) -> float:
        """1/R for SGD, scale/sqrt(R) for Adam."""
        return rank_multiplier(max(1, self.noise_size(shape)), optimizer, self.scale)


@final
@dataclass(frozen=True)
class Full(Covariance):
    """S is any P x P matrix; it starts at the identity times the std. For small layers: it holds P² numbers.

    Attributes:
        scale: initial marginal std in units of the layer's own std; see ``unit`` of `ivi.variationalize`.

    Factors: ``weight_factor`` [P, weights] and ``bias_factor`` [P, outputs].
    """

    scale: float = DEFAULT_SCALE

    def __post_init__(self) -> None:
        check_scale(self.scale)

    def factor_shapes(self, shape: LayerShape) -> dict[str, tuple[int, ...]]:
        """See `Covariance`."""
        return _dense_shapes(shape.size, shape)

    def noise_size(self, shape: LayerShape) -> int:
        """P."""
        return shape.size

    def initialize_(
        self, factors: Factors, shape: LayerShape, std: tuple[float, float], generator: torch.Generator | None
    ) -> None:
        """Write the std on the diagonal; nothing is drawn."""
        with torch.no_grad():
            first_row = 0
            for factor, sigma in zip(factors.values(), std, strict=False):
                factor.zero_()
                factor[first_row : first_row + factor.shape[1]].fill_diagonal_(self.scale * sigma)
                first_row += factor.shape[1]

    def offset(self, factors: Factors, shape: LayerShape, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Covariance`."""
        return _dense_offset(factors, shape, z)

    def rows(self, factors: Factors, shape: LayerShape) -> Tensor:
        """See `Covariance`."""
        return _dense_rows(factors, shape)

    def lr_multiplier(self, name: str, shape: LayerShape, optimizer: Optimizer) -> float:
        """1/P for SGD (a step moves the drawn weights by |z|² ~ P times the gradient), scale/sqrt(P) for Adam."""
        return rank_multiplier(shape.size, optimizer, self.scale)


@final
@dataclass(frozen=True)
class Diagonal(Covariance):
    """S is diagonal: independent weights (mean field).

    Attributes:
        scale: initial std in units of the layer's own std; see ``unit`` of `ivi.variationalize`.

        log: the factors are the logarithms of the std. Against a KL term, whose gradient in the std itself is 1/std,
            this is what keeps plain gradient steps stable.

    Factors: ``weight_factor``, of the weight's shape, and ``bias_factor``; the std is their absolute value, or their
    exponential if ``log``.
    """

    scale: float = DEFAULT_SCALE
    log: bool = False

    def __post_init__(self) -> None:
        check_scale(self.scale)
        if self.log and self.scale == 0:
            raise ValueError("scale must be more than 0 where the factors are logarithms")

    def factor_shapes(self, shape: LayerShape) -> dict[str, tuple[int, ...]]:
        """See `Covariance`."""
        shapes: dict[str, tuple[int, ...]] = {"weight_factor": shape.weight}
        if shape.bias:
            shapes["bias_factor"] = (shape.bias,)
        return shapes

    def noise_size(self, shape: LayerShape) -> int:
        """P."""
        return shape.size

    def initialize_(
        self, factors: Factors, shape: LayerShape, std: tuple[float, float], generator: torch.Generator | None
    ) -> None:
        """Fill with the std; nothing is drawn."""
        with torch.no_grad():
            for factor, sigma in zip(factors.values(), std, strict=False):
                factor.fill_(math.log(self.scale * sigma) if self.log else self.scale * sigma)

    def offset(self, factors: Factors, shape: LayerShape, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Covariance`."""
        weight_noise, bias_noise = shape.split(z)
        weight = weight_noise * self._std(factors["weight_factor"])
        return weight, None if bias_noise is None else bias_noise * self._std(factors["bias_factor"])

    def diagonal(self, factors: Factors, shape: LayerShape) -> Tensor:
        """The diagonal of S, [P]."""
        return torch.cat([self._std(factor).flatten() for factor in factors.values()])

    def _std(self, factor: Tensor) -> Tensor:
        return factor.exp() if self.log else factor

    def rows(self, factors: Factors, shape: LayerShape) -> Tensor:
        """See `Covariance`."""
        return torch.diag(self.diagonal(factors, shape))

    def lr_multiplier(self, name: str, shape: LayerShape, optimizer: Optimizer) -> float:
        """1 for SGD and for logarithms, scale for Adam."""
        return 1.0 if self.log else rank_multiplier(1, optimizer, self.scale)
