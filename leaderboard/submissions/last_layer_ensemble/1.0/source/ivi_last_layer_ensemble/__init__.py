"""Several last layers on one trunk: what an ensemble of the output layer alone can do, at nearly the price of MAP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from baselines.heads import features_and_outputs, find_head
from baselines.protocol import Problem
from baselines.train import train

__all__ = ["Heads", "LastLayerEnsemble"]


class Heads(nn.Module):
    """One trunk, several last layers; the first is the network's own."""

    def __init__(self, model: nn.Module, head: nn.Linear, count: int) -> None:
        super().__init__()
        self.model, self.first = model, [head]  # in a list: it is registered once, as the model's
        self.others = nn.ModuleList(nn.Linear(head.in_features, head.out_features) for _ in range(count - 1))

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [heads, batch, outputs]."""
        features, first = features_and_outputs(self.model, self.first[0], x)
        return torch.stack([first, *(head(features) for head in self.others)])


@dataclass(frozen=True)
class LastLayerEnsemble:
    """Several last layers on one trunk, trained on the mean of their losses (Lee et al. 2015, arXiv 1511.06314).

    Attributes:
        heads: number of last layers, each with initial weights of its own.
    """

    heads: Annotated[int, Ge(1)] = 4

    map_equivalent = {"heads": 1}

    def predictor(self, problem: Problem) -> Heads:
        """An untrained trunk with its heads."""
        model = problem.new_model().eval()
        torch.manual_seed(problem.seeds.noise("heads"))
        return Heads(model, find_head(model, problem.example), self.heads).to(problem.device)

    def fit(self, problem: Problem) -> Heads:
        """Train trunk and heads together by the recipe."""

        def loss(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            assert isinstance(net, Heads)
            return torch.stack([problem.likelihood.loss(outputs, y) for outputs in net.outputs(x)]).mean()

        net = self.predictor(problem)
        train(net, problem, loss=loss)
        return net
