"""SNGP: a random-feature Gaussian process on a network whose hidden layers are of bounded norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from torch import Tensor, nn

from baselines.heads import find_head, replace_head
from baselines.last_layer import closed_form
from baselines.protocol import Problem
from baselines.random_features import RandomFeatureGP
from baselines.spectral import SpectralBound
from baselines.train import train


class SNGPPredictor(nn.Module):
    """A network that ends in a Gaussian process."""

    def __init__(self, problem: Problem, method: SNGP) -> None:
        super().__init__()
        self.model = problem.new_model().eval()
        head, seeds = find_head(self.model, problem.example), problem.seeds
        self.gp = RandomFeatureGP(head, method.features, method.length_scale, seeds.noise("features"))
        self.gp.root.div_(size := (method.features / 2) ** 0.5)  # no data: a prior variance of 1
        replace_head(self.model, head, nn.Identity())
        self.method, self.likelihood, self.seed, self._size = method, problem.likelihood, seeds.noise("draws"), size

    def forward(self, x: Tensor) -> Tensor:
        """Mean outputs [batch, outputs]."""
        return self.gp(self.phi(x))

    def phi(self, x: Tensor) -> Tensor:
        """Cosines [batch, features] of normalized features: √(2/features) would make SGD's steps too small."""
        return self._size * self.gp.features(nn.functional.layer_norm(own := self.model(x), own.shape[1:]))

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [1, batch, outputs] in the mean-field approximation, else [draws, batch, outputs]."""
        mean = self.gp(phi := self.phi(x))
        if self.method.link == "mean_field":
            return closed_form(self.likelihood, mean, self.gp.variance(phi)[:, None].expand_as(mean))[None]
        return mean + phi @ self.gp.deviations(self.method.draws, self.seed).mT


@dataclass(frozen=True)
class SNGP:
    """SNGP (Liu et al. 2020, arXiv 2006.10108), algorithm 1: random features, Laplace covariance, bounded norms.

    What matters is ``bound``, then ``length_scale``. ``bound``, ``features`` and ``ridge`` are those of their code.

    Attributes:
        bound: largest spectral norm of a hidden layer.
        features: number of random features.
        length_scale: of the Gaussian kernel, in units of the length of a feature vector.
        ridge: inverse of the prior variance of an output.
        link: how Gaussian logits become one prediction: ``mean_field`` (one pass) or ``mc`` (draws).
        draws: members under ``mc``.
    """

    bound: Annotated[float, Gt(0)] = 6.0
    features: Annotated[int, Ge(1)] = 1024
    length_scale: Annotated[float, Gt(0)] = 1.0
    ridge: Annotated[float, Gt(0)] = 1.0
    link: Literal["mean_field", "mc"] = "mean_field"
    draws: Annotated[int, Ge(1)] = 32

    def predictor(self, problem: Problem) -> SNGPPredictor:
        """An untrained network with a Gaussian process of no data."""
        return SNGPPredictor(problem, self)

    def fit(self, problem: Problem) -> SNGPPredictor:
        """Train by the recipe, then sum the precision up over the training examples."""
        net: Any = self.predictor(problem)
        bound = SpectralBound(net.model, problem.example, net.gp, self.bound, problem.seeds.noise("norms"))
        train(net, problem, after_step=bound.after_step)
        phis = (net.phi(x) for x, _ in problem.train.ordered(problem.recipe.batch_size))
        net.gp.fit(phis, net.likelihood, self.ridge * self.features / 2)
        return net
