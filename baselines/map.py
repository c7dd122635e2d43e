"""MAP: one network, one set of weights. What every other method is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from baselines.protocol import Problem
from baselines.train import train


class PointPredictor(nn.Module):
    """One network as a single member."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def logits(self, x: Tensor) -> Tensor:
        """Logits [1, batch, classes]."""
        return self.model(x).unsqueeze(0)


@dataclass(frozen=True)
class MAP:
    """Maximum a posteriori: cross-entropy with the recipe's weight decay as a Gaussian prior.

    Attributes:
        member: which initial weights and batch order; an ensemble's members differ in this alone.
    """

    member: int = 0

    map_equivalent = {"member": 0}

    def predictor(self, problem: Problem) -> PointPredictor:
        """An untrained network."""
        return PointPredictor(problem.new_model(self.member))

    def fit(self, problem: Problem) -> PointPredictor:
        """Train the network by the recipe."""
        predictor = self.predictor(problem)
        train(predictor.model, problem, member=self.member)
        return predictor
