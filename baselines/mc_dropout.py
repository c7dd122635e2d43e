"""MC dropout: dropout stays on when predicting, with masks that are fixed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Lt

from baselines.heads import find_head
from baselines.masks import ThinnedPredictor, add_after_activations, add_before
from baselines.protocol import Problem
from baselines.train import train


@dataclass(frozen=True)
class MCDropout:
    """MC dropout (Gal and Ghahramani 2016, arXiv 1506.02142).

    Attributes:
        rate: probability of dropping a unit, when training and predicting.
        placement: ``all``: after every activation; ``head``: before the head only.
        passes: number of masks to predict with.
    """

    rate: Annotated[float, Ge(0), Lt(1)] = 0.1
    placement: Literal["all", "head"] = "all"
    passes: Annotated[int, Ge(1)] = 32

    map_equivalent = {"rate": 0.0}

    def predictor(self, problem: Problem) -> ThinnedPredictor:
        """An untrained network with its dropout in place."""
        model = problem.new_model().eval()
        if self.placement == "all":
            add_after_activations(model, self.rate)
        else:
            add_before(find_head(model, problem.example), self.rate)
        return ThinnedPredictor(model, self.passes, problem.seeds.noise("masks"))

    def fit(self, problem: Problem) -> ThinnedPredictor:
        """Train with dropout by the recipe."""
        predictor = self.predictor(problem)
        train(predictor.model, problem)
        return predictor
