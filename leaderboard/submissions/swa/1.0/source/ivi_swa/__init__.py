"""Stochastic weight averaging: the mean of the weights along the end of one training at a constant rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Lt
from torch import Tensor, nn

from baselines.protocol import Problem
from baselines.train import train

__all__ = ["SWA", "Averaged"]


class Averaged(nn.Module):
    """One network, whose weights are a mean of several, as a single member."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [1, batch, outputs]."""
        return self.model(x).unsqueeze(0)


@dataclass(frozen=True)
class SWA:
    """Stochastic weight averaging (Izmailov et al. 2018, arXiv 1803.05407), in as many steps as MAP takes.

    Attributes:
        start: the part of the training after which weights are averaged, once an epoch and at the end.
    """

    start: Annotated[float, Ge(0), Lt(1)] = 0.5

    recipe_changes = {"schedule": "constant"}

    def predictor(self, problem: Problem) -> Averaged:
        """An untrained network."""
        return Averaged(problem.new_model().eval())

    def fit(self, problem: Problem) -> Averaged:
        """Train by the recipe at a constant rate, average the weights, and count batch statistics anew."""
        predictor = self.predictor(problem)
        weights = list(predictor.model.parameters())
        means, points = [torch.zeros_like(p) for p in weights], 0
        epoch = problem.recipe.steps_per_epoch(problem.train.num_examples)

        def after_step(done: int, total: int) -> None:
            nonlocal points
            if done > self.start * total and (done % epoch == 0 or done == total):
                points += 1
                for mean, p in zip(means, weights, strict=True):
                    mean.lerp_(p.detach(), 1 / points)

        train(predictor.model, problem, after_step=after_step)
        if points:
            with torch.no_grad():
                for mean, p in zip(means, weights, strict=True):
                    p.copy_(mean)
            _count_anew(predictor.model, problem)
        return predictor


def _count_anew(model: nn.Module, problem: Problem) -> None:
    """The running statistics of batch normalization, which are those of no averaged weights, as a plain mean."""
    layers = [one for one in model.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        return
    before = [one.momentum for one in layers]
    for one in layers:
        one.reset_running_stats()
        one.momentum = None  # a cumulative mean
        one.train()
    with torch.no_grad():
        for x, _ in problem.train.ordered(problem.recipe.batch_size):
            model(x)
    for one, momentum in zip(layers, before, strict=True):
        one.momentum = momentum
    model.eval()
