"""Gaussian noise of one width on the weights of MAP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from baselines.map import MAP
from baselines.protocol import Problem

from ..draws import Draws


class NoisyNetwork(nn.Module):
    """A network, and draws of its weights around the trained ones, the same whenever it is asked."""

    def __init__(self, model: nn.Module, draws: int, scale: float, seed: int) -> None:
        super().__init__()
        self.model, self.draws, self.scale, self.seed = model, draws, scale, seed

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [draws, batch, outputs]."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.stack([functional_call(self.model, self._draw(generator), (x,)) for _ in range(self.draws)])

    def _draw(self, generator: torch.Generator) -> dict[str, Tensor]:
        weights = self.model.named_parameters()
        noise = {name: torch.randn(w.shape, generator=generator).to(w.device) for name, w in weights}
        return {name: w + self.scale * w.abs().mean() * noise[name] for name, w in self.model.named_parameters()}


@dataclass(frozen=True)
class WeightNoise(Draws):
    """Gaussian noise around the weights of MAP, of the same relative width in every layer.

    Attributes:
        scale: standard deviation in units of the mean size of each tensor's weights.
    """

    scale: Annotated[float, Field(ge=0)] = 0.1

    uses = ((MAP(), 0),)
    map_equivalent = {"scale": 0.0}

    def predictor(self, problem: Problem) -> NoisyNetwork:
        """An untrained network."""
        return NoisyNetwork(problem.new_model().eval(), self.draws, self.scale, problem.seeds.noise("weights"))

    def fit(self, problem: Problem) -> NoisyNetwork:
        """Take the fit of MAP over."""
        predictor = self.predictor(problem)
        predictor.load_state_dict(problem.fit(MAP()).state_dict())
        return predictor
