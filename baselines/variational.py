"""What the variational methods share: a variational network that predicts with draws fixed once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import ivi
from baselines.protocol import Problem
from baselines.recipe import Recipe


class VariationalPredictor(nn.Module):
    """A network of `ivi.variationalize` and the draws that it predicts with, which are kept as a seed."""

    def __init__(self, net: nn.Module, problem: Problem, draws: int, head_draws: int = 1) -> None:
        super().__init__()
        self.net = net
        self.draws = ivi.seeded_draws(net, draws, problem.seeds.noise("predict"), head_draws=head_draws)

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [draws times head draws, batch, outputs]."""
        return ivi.predict(self.net, x, self.draws)


def noise_generator(problem: Problem, purpose: str) -> torch.Generator:
    """The method's own noise for one purpose; the same numbers on every device."""
    return torch.Generator().manual_seed(problem.seeds.noise(purpose))


def optimizer_groups(net: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Means under the recipe's weight decay, covariance factors under none: it would be a regularizer of its own."""
    groups = ivi.param_groups(net, recipe.lr, optimizer="sgd" if recipe.optimizer == "sgd" else "adam")
    return [
        {"params": group["params"], "lr": group["lr"]}
        | ({"weight_decay": 0.0} if group["kind"] == "covariance" else {})
        for group in groups
    ]
