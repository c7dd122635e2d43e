"""Deep ensemble: several MAP networks from different initial weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.map import MAP
from baselines.protocol import Predictor, Problem


class EnsemblePredictor(nn.Module):
    """The members of several predictors, one after the other."""

    def __init__(self, predictors: Iterable[Predictor]) -> None:
        super().__init__()
        self.predictors = nn.ModuleList(predictors)  # pyright: ignore[reportArgumentType]

    def logits(self, x: Tensor) -> Tensor:
        """Logits [members, batch, classes]."""
        return torch.cat([predictor.logits(x) for predictor in self.predictors])  # pyright: ignore[reportCallIssue]


@dataclass(frozen=True)
class DeepEnsemble:
    """Deep ensemble (Lakshminarayanan, Pritzel, Blundell 2017, arXiv 1612.01474), without adversarial training.

    Member 0 is the MAP network of the same seed, so that one member equals MAP.

    Attributes:
        members: number of networks.
    """

    members: int = 5

    map_equivalent = {"members": 1}

    def __post_init__(self) -> None:
        if self.members < 1:
            raise ValueError(f"members must be at least 1, not {self.members}")

    def predictor(self, problem: Problem) -> EnsemblePredictor:
        """Untrained networks."""
        return EnsemblePredictor(MAP(member).predictor(problem) for member in range(self.members))

    def fit(self, problem: Problem) -> EnsemblePredictor:
        """Train every member by the recipe; those that are trained already are taken over."""
        return EnsemblePredictor(problem.fit(MAP(member)) for member in range(self.members))
