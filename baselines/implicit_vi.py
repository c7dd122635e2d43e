"""Implicit-bias variational inference: the expected loss alone, with no KL term."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt
from torch import nn

import ivi
from baselines.protocol import Problem
from baselines.train import Loss, expected_loss, train
from baselines.variational import VariationalPredictor, noise_generator, optimizer_groups


@dataclass(frozen=True)
class ImplicitVI:
    """Implicit-bias VI (Wenger et al. 2025, arXiv 2505.20235): low-rank Gaussian weights, trained on the expected loss.

    The recipe's weight decay acts on the mean, as on every method's weights, and never on the covariance.

    Attributes:
        rank: rank R of the covariance of each random layer; 0 leaves a point estimate.
        layers: which layers are random: first and last, last only, or all.
        noise: one weight draw per step for the whole batch (``shared``, the paper), z for one half of the batch and -z
            for the other (``antithetic``), or one draw per example.
        scale: std of the prior, where q starts, in units of ``unit``; with ``published`` take 1.
        unit: the std of each layer's own initial weights (``own``), fan_in^-1/2, or ``published``: the authors', which
            means of random layers have as well, drawn anew unless maximal update has given it to them.
        draws: weight draws to predict with.
        head_draws: draws of the last layer for each of them, which cost next to nothing.
        w2_weight: weight of an explicit regularizer for comparison, the squared 2-Wasserstein distance to the prior,
            per training example; 0 is the method.
    """

    rank: Annotated[int, Ge(0)] = 10
    layers: Literal["ends", "last", "all"] = "ends"
    noise: Literal["shared", "antithetic", "per_example"] = "antithetic"
    scale: Annotated[float, Gt(0)] = 0.1
    unit: Literal["own", "fan_in", "published"] = "own"
    draws: Annotated[int, Ge(1)] = 32
    head_draws: Annotated[int, Ge(1)] = 1
    w2_weight: Annotated[float, Ge(0)] = 0.0

    map_equivalent = {"rank": 0, "w2_weight": 0.0, "unit": "own"}

    def predictor(self, problem: Problem) -> VariationalPredictor:
        """An untrained network whose distribution is the prior."""
        model, noise = problem.new_model(), noise_generator(problem, "covariance")
        is_scaled = self.unit == "published" and problem.recipe.parametrization == "maximal_update"
        means = {name: one.clone() for name, one in model.state_dict().items()} if is_scaled else {}
        net = ivi.variationalize(
            model,
            ivi.LowRank(self.rank, scale=self.scale),
            layers=self.layers,
            noise=self.noise,
            example=problem.example,
            generator=noise,
            unit=self.unit,
        )
        if is_scaled:
            ivi.initialize_(net, ivi.MaximalUpdate(), noise, problem.example)
            net.load_state_dict(means, strict=False)
        return VariationalPredictor(net.eval(), problem, self.draws, self.head_draws)

    def fit(self, problem: Problem) -> VariationalPredictor:
        """Train on the expected loss by the recipe."""
        predictor = self.predictor(problem)
        net = predictor.net
        ivi.set_generator(net, noise_generator(problem, "train"))
        train(net, problem, loss=self._loss(net, problem), groups=optimizer_groups(net, problem.recipe))
        return predictor

    def _loss(self, net: nn.Module, problem: Problem) -> Loss:
        expected = expected_loss(problem)
        if not self.w2_weight:
            return expected
        prior, weight = ivi.prior(net), self.w2_weight / problem.train.num_examples
        return lambda net, x, y: expected(net, x, y) + weight * ivi.wasserstein2(net, prior)
