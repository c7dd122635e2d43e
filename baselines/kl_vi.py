"""KL-regularized variational inference: the negative ELBO per example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

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
        family: ``mean_field``: independent Gaussians in all layers; ``low_rank``: as in ``implicit_vi``, plus the KL.
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

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """In mean field no weight decay: the KL of all layers is the prior's term."""
        return {"weight_decay": 0.0} if self.family == "mean_field" else {}

    def predictor(self, problem: Problem) -> VariationalPredictor:
        """An untrained variational network."""
        mean_field, scale = self.family == "mean_field", self.prior_scale
        covariance = ivi.Diagonal(scale=scale, log=True) if mean_field else ivi.LowRank(self.rank, scale=scale)
        generator, layers = noise_generator(problem, "covariance"), "all" if mean_field else "ends"
        net = ivi.variationalize(
            problem.new_model(), covariance, layers, self.noise, example=problem.example, generator=generator
        )
        return VariationalPredictor(net.eval(), problem, self.draws)

    def fit(self, problem: Problem) -> VariationalPredictor:
        """Train on the negative ELBO per example by the recipe."""
        net = (predictor := self.predictor(problem)).net
        ivi.set_generator(net, noise_generator(problem, "train"))
        expected, prior, weight = expected_loss(problem), ivi.prior(net), self.kl_weight / problem.train.num_examples

        def negative_elbo(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            return expected(net, x, y) + weight * ivi.kl(net, prior)

        train(net, problem, loss=negative_elbo, groups=self._groups(net, problem))
        return predictor

    def _groups(self, net: nn.Module, problem: Problem) -> list[dict[str, Any]]:
        """Optimizer groups. SGD takes natural steps on log std (Fisher information 2, a loss per example), as in
        `gaussian_head`; the likelihood's noise is cut at the size of the KL's gradient, so that it drives no std away.
        """
        groups, count = optimizer_groups(net, problem.recipe), problem.train.num_examples
        most = 2 * min(1.0, self.kl_weight) / count
        if self.family == "mean_field" and problem.recipe.optimizer == "sgd":
            for group in (one for one in groups if "weight_decay" in one):  # those of the covariance
                group["lr"] *= count / 2
                for log_std in group["params"]:
                    log_std.register_hook(lambda gradient: gradient.clamp(-most, most))
        return groups
