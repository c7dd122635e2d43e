"""Implicit-bias variational inference: the expected loss alone, with no KL term."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import ivi
from baselines.protocol import Problem
from baselines.train import train
from baselines.variational import VariationalPredictor, example, noise_generator, optimizer_groups


@dataclass(frozen=True)
class ImplicitVI:
    """Implicit-bias VI (Wenger et al. 2025, arXiv 2505.20235): low-rank Gaussian weights, trained on the expected loss.

    The recipe's weight decay acts on the mean, as on every method's weights, and never on the covariance.

    Attributes:
        rank: rank R of the covariance of each random layer; 0 leaves a point estimate.
        layers: which layers are random: first and last, last only, or all.
        noise: one weight draw per step for the whole batch (``shared``, the paper), z for one half of the batch and -z
            for the other (``antithetic``), or one draw per example.
        draws: weight draws to predict with.
        head_draws: draws of the last layer for each of them, which cost next to nothing.
    """

    rank: int = 10
    layers: Literal["ends", "last", "all"] = "ends"
    noise: Literal["shared", "antithetic", "per_example"] = "antithetic"
    draws: int = 32
    head_draws: int = 1

    map_equivalent = {"rank": 0}

    def predictor(self, problem: Problem) -> VariationalPredictor:
        """An untrained network whose distribution is the prior."""
        net = ivi.variationalize(
            problem.new_model(),
            ivi.LowRank(self.rank),
            layers=self.layers,
            noise=self.noise,
            example=example(problem),
            generator=noise_generator(problem, "covariance"),
        )
        return VariationalPredictor(net, self.draws, problem, self.head_draws)

    def fit(self, problem: Problem) -> VariationalPredictor:
        """Train on the expected loss by the recipe."""
        predictor = self.predictor(problem)
        ivi.set_generator(predictor.net, noise_generator(problem, "train"))
        train(predictor.net, problem, groups=optimizer_groups(predictor.net, problem.recipe))
        return predictor
