"""DDU: a deterministic network, and the density of its features as a measure of what is foreign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn

from baselines.class_densities import ClassDensities
from baselines.heads import features_and_outputs, find_head
from baselines.protocol import Problem, Unsupported
from baselines.spectral import SpectralBound
from baselines.train import train


class DDUPredictor(nn.Module):
    """A network and the density of its features."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        if problem.likelihood.kind != "categorical":
            raise Unsupported("DDU's density is one Gaussian for each class, and a number has none")
        self.model = problem.new_model().eval()
        self._head = [find_head(self.model, problem.example)]  # in a list: registered once, as the model's
        self.densities = ClassDensities(problem.likelihood.outputs, self.head.in_features).to(problem.device)

    @property
    def head(self) -> nn.Linear:
        """The network's head."""
        return self._head[0]

    def outputs(self, x: Tensor) -> Tensor:
        """Logits [1, batch, classes] whose log-sum-exp is the log density of the features, nats for each of them."""
        features, logits = features_and_outputs(self.model, self.head, x)
        return (logits.log_softmax(-1) + self.densities.log_density(features)[:, None]).unsqueeze(0)


@dataclass(frozen=True)
class DDU:
    """DDU (Mukhoti et al. 2023, arXiv 2102.11582, algorithm 1): softmax for what is ambiguous, density for the foreign.

    The density is that of the features, a Gaussian for each class. It stands in the logits: they are those of the
    network plus a number for each example, which changes no probability, so that the OOD score ``energy`` is minus the
    log density per feature. What matters is ``bound``, 3 as in the authors' code: too small costs accuracy, too large
    lets foreign inputs collapse on known ones. The ridge on the covariances, which that code makes as small as a
    Cholesky factor allows, is the one of greatest density of the validation features.

    Attributes:
        bound: largest spectral norm of a hidden layer.
    """

    bound: Annotated[float, Gt(0)] = 3.0

    def predictor(self, problem: Problem) -> DDUPredictor:
        """An untrained network and densities of no data."""
        return DDUPredictor(problem)

    def fit(self, problem: Problem) -> DDUPredictor:
        """Train by the recipe with bounded norms, then fit the densities to the features of the training examples."""
        net, size = self.predictor(problem), problem.recipe.batch_size
        bound = SpectralBound(net.model, problem.example, net.head, self.bound, problem.seeds.noise("norms"))
        train(net, problem, loss=lambda _, x, y: problem.likelihood.loss(net.model(x), y), after_step=bound.after_step)
        with torch.no_grad():
            train_set, validation = (
                [(features_and_outputs(net.model, net.head, x)[0], y) for x, y in source.ordered(size)]
                for source in (problem.train, problem.validation)
            )
        net.densities.fit(train_set, validation)
        return net
