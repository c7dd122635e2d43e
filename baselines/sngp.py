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
        replace_head(self.model, head, nn.Identity())
        self.method, self.likelihood, self.seed = method, problem.likelihood, seeds.noise("draws")

    def forward(self, x: Tensor) -> Tensor:
        """Mean outputs [batch, outputs]."""
        return self.gp(self.phi(x))

    def phi(self, x: Tensor) -> Tensor:
        """Random features [batch, features] of the network's own, which are normalized to length √size."""
        return self.gp.features(nn.functional.layer_norm(own := self.model(x), own.shape[1:]))

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [1, batch, outputs] in the mean-field approximation, else [draws, batch, outputs]."""
        mean = self.gp(phi := self.phi(x))
        if self.method.link == "mean_field":
            return closed_form(self.likelihood, mean, self.gp.variance(phi)[:, None].expand_as(mean))[None]
        return mean + phi @ self.gp.deviations(self.method.draws, self.seed).mT


@dataclass(frozen=True)
class SNGP:
    """SNGP (Liu et al. 2020, arXiv 2006.10108), algorithm 1: random features, Laplace covariance, bounded norms.

    What matters is ``bound``, then ``length_scale``. ``bound``, ``features`` and ``ridge`` are the authors' code's for
    CIFAR; as there features are normalized (with a length scale of 1.8) and one covariance serves all classes.

    Attributes:
        bound: largest spectral norm of a hidden layer.
        features: number of random features.
        length_scale: of the Gaussian kernel, in units of the length of a feature vector.
        ridge: precision of the prior of the output weights.
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
        batches = problem.train.ordered(problem.recipe.batch_size)
        net.gp.fit((net.phi(x) for x, _ in batches), net.likelihood, self.ridge)
        return net
