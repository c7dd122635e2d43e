"""Label smoothing: one network, trained towards labels that are not quite certain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Lt
from torch import Tensor, nn

from baselines.map import PointPredictor
from baselines.protocol import Problem, Unsupported
from baselines.train import train


@dataclass(frozen=True)
class LabelSmoothing:
    """Label smoothing (Szegedy et al. 2016, arXiv 1512.00567, section 7; Müller et al. 2019, arXiv 1906.02629).

    The label's probability is 1 - ``smoothing`` + ``smoothing`` / classes, every other's ``smoothing`` / classes. It is
    the one knob: the network is made less confident everywhere, where it is right and where it is wrong.

    Attributes:
        smoothing: share of the label that is spread over all classes (epsilon); 0 is MAP.
    """

    smoothing: Annotated[float, Ge(0), Lt(1)] = 0.1

    map_equivalent = {"smoothing": 0.0}

    def predictor(self, problem: Problem) -> PointPredictor:
        """An untrained network."""
        if problem.likelihood.kind != "categorical":
            raise Unsupported("there are no classes over which the label of a real number could be spread")
        return PointPredictor(problem.new_model().eval())

    def fit(self, problem: Problem) -> PointPredictor:
        """Train on smoothed labels by the recipe."""
        predictor = self.predictor(problem)

        def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            outputs = model(x)
            uniform = -outputs.log_softmax(-1).mean()
            return (1 - self.smoothing) * problem.likelihood.loss(outputs, y) + self.smoothing * uniform

        train(predictor.model, problem, loss=loss)
        return predictor
