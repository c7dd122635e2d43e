"""mixup: one network, trained on mixtures of pairs of examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor, nn

from baselines.likelihood import Likelihood
from baselines.map import PointPredictor
from baselines.protocol import Problem, Unsupported
from baselines.train import train


def mixed_loss(
    likelihood: Likelihood, model: nn.Module, x: Tensor, y: Tensor, share: float, partners: Tensor
) -> Tensor:
    """Mean loss of ``share`` of each example mixed with 1 - ``share`` of its partner.

    Classes are mixed as probabilities, in which the loss is linear; numbers as numbers.
    """
    outputs = model(share * x + (1 - share) * x[partners])
    if likelihood.kind == "categorical":
        return share * likelihood.loss(outputs, y) + (1 - share) * likelihood.loss(outputs, y[partners])
    return likelihood.loss(outputs, share * y + (1 - share) * y[partners])


@dataclass(frozen=True)
class Mixup:
    """mixup (Zhang et al. 2018, arXiv 1710.09412), section 2; one share, Beta(alpha, alpha), for each batch.

    ``alpha`` is the one knob: the larger, the more even the mixtures, and the less confident the network. The paper
    takes 1 on CIFAR (as does the authors' code) and 0.1 to 0.4 on ImageNet.

    Attributes:
        alpha: of the Beta distribution of shares; 0 mixes nothing and is MAP.
    """

    alpha: Annotated[float, Ge(0)] = 0.2

    map_equivalent = {"alpha": 0.0}

    def predictor(self, problem: Problem) -> PointPredictor:
        """An untrained network."""
        if not problem.example.is_floating_point():
            raise Unsupported("identifiers of tokens cannot be mixed")
        return PointPredictor(problem.new_model().eval())

    def fit(self, problem: Problem) -> PointPredictor:
        """Train on mixtures by the recipe."""
        predictor, rng = self.predictor(problem), np.random.default_rng(problem.seeds.noise("mixtures"))

        def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            share = rng.beta(self.alpha, self.alpha) if self.alpha else 1.0
            partners = torch.from_numpy(rng.permutation(len(x))).to(x.device)
            return mixed_loss(problem.likelihood, model, x, y, share, partners)

        train(predictor.model, problem, loss=loss)
        return predictor
