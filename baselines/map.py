"""MAP: one network, one set of weights. What every other method is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from baselines.protocol import Problem
from baselines.together import train_together
from baselines.train import train


class PointPredictor(nn.Module):
    """One network as a single member."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [1, batch, outputs]."""
        return self.model(x).unsqueeze(0)


@dataclass(frozen=True)
class MAP:
    """Maximum a posteriori: the likelihood's loss with the recipe's weight decay as a Gaussian prior."""

    map_equivalent = {}

    def predictor(self, problem: Problem) -> PointPredictor:
        """An untrained network."""
        return PointPredictor(problem.new_model().eval())

    def fit(self, problem: Problem) -> PointPredictor:
        """Train the network by the recipe."""
        predictor = self.predictor(problem)
        train(predictor.model, problem)
        return predictor

    def fit_together(self, problems: Sequence[Problem]) -> list[PointPredictor]:
        """Train a network for each problem, all at once."""
        predictors = [self.predictor(problem) for problem in problems]
        train_together([predictor.model for predictor in predictors], problems)
        return predictors
