"""Variational inference on the last layer: the negative ELBO of a Gaussian head on a trained trunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from baselines.gaussian_head import GaussianHeadNetwork
from baselines.protocol import Problem
from baselines.train import train


class LastLayerVIPredictor(GaussianHeadNetwork):
    """A network with a Gaussian head, and the draws that it predicts with."""

    def __init__(self, problem: Problem, method: LastLayerVI) -> None:
        super().__init__(problem, problem.likelihood.outputs, method.structure, 0.1 * method.prior_scale)
        self.count, self.seed = method.draws, problem.seeds.noise("draws")

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [draws, batch, outputs]; the trunk is passed once."""
        return self.drawn_outputs(x, self.count, self.seed)


@dataclass(frozen=True)
class LastLayerVI:
    """Gaussian VI on the head alone, the trunk being trained with it by maximum likelihood and weight decay.

    Minimises mean loss + ``kl_weight`` KL(q || p) / N over N training examples (Blundell et al. 2015, arXiv
    1505.05424, section 3), by the local reparametrization (Kingma, Salimans & Welling 2015, arXiv 1506.02557, section
    2): each example has outputs of its own noise. What matters is ``kl_weight``; 1 is the ELBO.

    Attributes:
        structure: ``diag``: independent weights; ``full``: one covariance for all weights of an output.
        kl_weight: weight of the KL; less than 1 is a tempered posterior.
        prior_scale: std of the prior, which is centred at zero, in units of features^-1/2.
        draws: weight draws to predict with, which cost next to nothing.
    """

    structure: Literal["diag", "full"] = "diag"
    kl_weight: Annotated[float, Ge(0)] = 1.0
    prior_scale: Annotated[float, Gt(0)] = 1.0
    draws: Annotated[int, Ge(1)] = 32

    def predictor(self, problem: Problem) -> LastLayerVIPredictor:
        """An untrained network with a narrow posterior."""
        return LastLayerVIPredictor(problem, self)

    def fit(self, problem: Problem) -> LastLayerVIPredictor:
        """Train on the negative ELBO per example by the recipe."""
        predictor = self.predictor(problem)
        head, weight = predictor.head, self.kl_weight / problem.train.num_examples
        prior_variance = self.prior_scale**2 / head.inputs

        def negative_elbo(net: Any, x: Tensor, y: Tensor) -> Tensor:
            mean, variance = net.moments(x)
            outputs = mean + variance.sqrt() * torch.randn_like(mean)
            return problem.likelihood.loss(outputs, y) + weight * head.kl(prior_variance)

        train(predictor, problem, loss=negative_elbo, groups=predictor.groups(problem))
        return predictor
