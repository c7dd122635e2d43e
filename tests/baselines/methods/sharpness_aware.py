"""MAP with an optimizer that looks at two points a step: SAM (Foret et al. 2021, arXiv 2010.01412)."""

from dataclasses import dataclass

import torch
from torch.optim import Optimizer

from baselines.map import MAP
from baselines.train import make_optimizer, train


class TwoPoints(Optimizer):
    """Steps with the gradient at the worst point nearby."""

    def __init__(self, base, radius):
        super().__init__(base.param_groups, {})
        self.base, self.radius = base, radius
        base.param_groups = self.param_groups

    def step(self, closure):
        loss = closure()
        parameters = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.stack([p.grad.norm() for p in parameters]).norm() + 1e-12
        away = [p.grad * (self.radius / norm) for p in parameters]
        with torch.no_grad():
            for p, step in zip(parameters, away, strict=True):
                p.add_(step)
        closure()
        with torch.no_grad():
            for p, step in zip(parameters, away, strict=True):
                p.sub_(step)
        self.base.step()
        return loss


@dataclass(frozen=True)
class SharpnessAware:
    """MAP at a flat minimum."""

    radius: float = 0.05

    def predictor(self, problem):
        return MAP().predictor(problem)

    def fit(self, problem):
        predictor = self.predictor(problem)
        recipe = problem.recipe
        train(predictor.model, problem, optimizer=lambda groups: TwoPoints(make_optimizer(recipe, groups), self.radius))
        return predictor
