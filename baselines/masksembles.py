"""Masksembles: members that share one network, each with its own fixed masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Interval
from torch import Tensor, nn

from baselines.masks import activations
from baselines.members import SharedNetwork, overlapping_masks, shared_loss, unit_dims
from baselines.protocol import Problem
from baselines.seeds import derive_seed
from baselines.train import train


class MaskedPredictor(SharedNetwork):
    """One network whose units are kept or dropped by the row's member, after each activation."""

    def __init__(self, model: nn.Module, where: dict[nn.Module, int], method: Masksembles, seed: int) -> None:
        super().__init__(model, method.members)
        self.scale, self.seed = method.scale, seed
        self._masks: dict[tuple[int, int], Tensor] = {}
        for index, (module, dim) in enumerate(where.items()):
            self._attach(module, dim, index)

    def _attach(self, module: nn.Module, dim: int, index: int) -> None:
        def mask(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
            units = output.shape[dim]
            if (index, units) not in self._masks:
                seed = derive_seed(self.seed, index, units)
                self._masks[index, units] = overlapping_masks(units, self.members, self.scale, seed)
            return self.scaled(output, self._masks[index, units].to(output), dim)

        module.register_forward_hook(mask)


@dataclass(frozen=True)
class Masksembles:
    """Masksembles (Durasov et al. 2021, arXiv 2012.08334), section 3: an ensemble of fixed, overlapping masks.

    What matters is ``scale``: 1 is one network, a large one an ensemble of small separate ones. The authors' package
    takes 4 masks and scale 2 in its examples. Masks stand where the paper's do, in the place of dropout: after
    activations.

    Attributes:
        members: number of masks.
        scale: S, how much wider than a mask's ones the places are that it chooses from.
    """

    members: Annotated[int, Ge(1)] = 4
    scale: Annotated[float, Interval(ge=1, le=6)] = 2.0

    map_equivalent = {"scale": 1.0}

    def predictor(self, problem: Problem) -> MaskedPredictor:
        """An untrained network with its masks."""
        model = problem.new_model().eval()
        where = unit_dims(model, problem.example, activations(model).values())
        return MaskedPredictor(model, where, self, problem.seeds.noise("masks"))

    def fit(self, problem: Problem) -> MaskedPredictor:
        """Train by the recipe, each member on its part of the batch."""
        predictor = self.predictor(problem)
        train(predictor, problem, loss=shared_loss(problem))
        return predictor
