"""KL-regularized variational inference: the negative ELBO per example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt
from torch import Tensor, nn

import ivi
from baselines.protocol import Problem
from baselines.train import expected_loss, train
from baselines.variational import VariationalPredictor, noise_generator, optimizer_groups


@dataclass(frozen=True)
class KLVI:
    """Mean-field VI (Blundell et al. 2015, arXiv 1505.05424), or the low-rank family of implicit VI plus the KL.

    The prior is where q starts, in both families: around the initial weights. Around zero, a network of this kind
    decays to the origin before it learns.

    Minimises mean loss + ``kl_weight`` KL(q || p) / N with N training examples: ``kl_weight = 1`` is the ELBO.

    Attributes:
        family: ``mean_field``: independent Gaussians in all layers; ``low_rank``: as in ``implicit_vi``, so that only
            the KL differs.
        kl_weight: weight of the KL; 1 is the ELBO, less is a tempered posterior.
        prior_scale: std of the prior, where q starts, in units of the std of each layer's own initial weights.
        rank: rank of ``low_rank``.
        noise: as in ``implicit_vi``.
        draws: weight draws to predict with.
    """

    family: Literal["mean_field", "low_rank"] = "mean_field"
    kl_weight: Annotated[float, Ge(0)] = 1.0
    prior_scale: Annotated[float, Gt(0)] = 1.0
    rank: Annotated[int, Ge(1)] = 10
    noise: Literal["shared", "antithetic", "per_example"] = "antithetic"
    draws: Annotated[int, Ge(1)] = 32

    recipe_changes = {"weight_decay": 0.0}  # the KL is the prior's term: weight decay would count the prior twice

    def predictor(self, problem: Problem) -> VariationalPredictor:
        """An untrained variational network."""
        mean_field, scale = self.family == "mean_field", self.prior_scale
        net = ivi.variationalize(
            problem.new_model(),
            ivi.Diagonal(scale=scale, log=True) if mean_field else ivi.LowRank(self.rank, scale=scale),
            layers="all" if mean_field else "ends",
            noise=self.noise,
            example=problem.example,
            generator=noise_generator(problem, "covariance"),
        )
        return VariationalPredictor(net.eval(), problem, self.draws)

    def fit(self, problem: Problem) -> VariationalPredictor:
        """Train on the negative ELBO per example by the recipe."""
        predictor = self.predictor(problem)
        net = predictor.net
        ivi.set_generator(net, noise_generator(problem, "train"))
        expected, prior = expected_loss(problem), ivi.prior(net)
        weight = self.kl_weight / problem.train.num_examples

        def negative_elbo(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            return expected(net, x, y) + weight * ivi.kl(net, prior)

        train(net, problem, loss=negative_elbo, groups=optimizer_groups(net, problem.recipe))
        return predictor
