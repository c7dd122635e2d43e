"""The Kronecker-factored covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ivi.covariance import (
    DEFAULT_SCALE,
    Covariance,
    Factors,
    LayerShape,
    Optimizer,
    check_rank,
    check_scale,
    normal_,
    rank_multiplier,
)


@final
@dataclass(frozen=True)
class Kronecker(Covariance):
    """Cov(W_oi, W_pj) = (A Aᵀ)_op (B Bᵀ)_ij: the weight, with its bias as one more input, is mu + A Z Bᵀ, Z noise.

    Attributes:
        input_rank: columns of B, [inputs (+ 1 with a bias), input_rank]; at most its number of rows.
        output_rank: columns of A, [outputs, output_rank]; at most its number of rows.
        scale: initial marginal std in units of the layer's own std; see ``unit`` of `ivi.variationalize`.

    Factors: ``output_factor`` (A), ``weight_factor`` (Bᵀ without its last column) and ``bias_factor`` (that column).
    For a convolution "inputs" are the numbers of one patch, [inputs / groups, *kernel].
    """

    input_rank: int
    output_rank: int
    scale: float = DEFAULT_SCALE

    def __post_init__(self) -> None:
        check_rank("input_rank", self.input_rank, 1)
        check_rank("output_rank", self.output_rank, 1)
        check_scale(self.scale)

    def _ranks(self, shape: LayerShape) -> tuple[int, int]:
        inputs = shape.fan_in + (1 if shape.bias else 0)
        return min(self.output_rank, shape.weight[0]), min(self.input_rank, inputs)

    def factor_shapes(self, shape: LayerShape) -> dict[str, tuple[int, ...]]:
        """See `Covariance`."""
        out, inp = self._ranks(shape)
        shapes: dict[str, tuple[int, ...]] = {
            "weight_factor": (inp, shape.fan_in),
            "output_factor": (shape.weight[0], out),
        }
        if shape.bias:
            shapes["bias_factor"] = (inp, 1)
        return shapes

    def noise_size(self, shape: LayerShape) -> int:
        """output_rank x input_rank."""
        return math.prod(self._ranks(shape))

    def initialize_(
        self, factors: Factors, shape: LayerShape, std: tuple[float, float], generator: torch.Generator | None
    ) -> None:
        """Draw A from N(0, 1 / output_rank) and B from N(0, std² / input_rank): the marginal variance is std²."""
        out, inp = self._ranks(shape)
        normal_(factors["output_factor"], out**-0.5, generator)
        normal_(factors["weight_factor"], self.scale * std[0] * inp**-0.5, generator)
        if shape.bias:
            normal_(factors["bias_factor"], self.scale * std[1] * inp**-0.5, generator)

    def offset(self, factors: Factors, shape: LayerShape, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Covariance`."""
        lead = z.shape[:-1]
        left = factors["output_factor"] @ z.reshape(*lead, *self._ranks(shape))
        weight = (left @ factors["weight_factor"]).reshape(*lead, *shape.weight)
        return weight, (left @ factors["bias_factor"]).squeeze(-1) if shape.bias else None

    def rows(self, factors: Factors, shape: LayerShape) -> Tensor:
        """See `Covariance`."""
        left = factors["output_factor"].T.contiguous()
        blocks = [torch.kron(left, factors["weight_factor"])]
        if shape.bias:
            blocks.append(torch.kron(left, factors["bias_factor"]))
        return torch.cat(blocks, 1)

    def lr_multiplier(self, name: str, shape: LayerShape, optimizer: Optimizer) -> float:
        """1/rank of that factor for SGD, 1/sqrt(rank) for Adam, there times scale for B."""
        out, inp = self._ranks(shape)
        if name == "output_factor":
            return rank_multiplier(out, optimizer, 1.0)
        return rank_multiplier(inp, optimizer, self.scale)
