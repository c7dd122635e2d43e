"""Langevin dynamics on minibatches: gradient steps with noise whose stationary law is the posterior."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from baselines.protocol import Unsupported
from baselines.recipe import Recipe


class Langevin(Optimizer):
    """Stochastic gradient Hamiltonian Monte Carlo; with a friction of 1, Langevin dynamics.

    With L the mean loss per example, w the weight decay and N the number of examples, the target is proportional to
    exp(-N / temperature (L(weights) + w |weights|² / 2)): the posterior of which MAP is the mode. A step is
    v <- (1 - friction) v - lr grad + N(0, 2 friction lr temperature / N), weights <- weights + v.

    Source: Welling & Teh 2011, equation 4, with step size 2 lr / N; Chen, Fox & Guestrin 2014, arXiv 1402.4102,
    equation 15, with learning rate lr / N. Noise comes from the global generator, which the training loop seeds.

    Args:
        params: parameters, or groups of them; a group's own ``temperature`` may change between steps.
        lr: learning rate of the mean loss.
        num_examples: N.
        weight_decay: precision of the Gaussian prior, per example.
        friction: share of the velocity that is lost in a step, in (0, 1].
        temperature: of the target; 0 adds no noise.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        num_examples: int,
        weight_decay: float = 0.0,
        friction: float = 1.0,
        temperature: float = 1.0,
    ) -> None:
        self.num_examples, self.friction = num_examples, friction
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "temperature": temperature})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]  # it needs the closure
        """One step; returns the loss."""
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._move(p, p.grad + group["weight_decay"] * p, group["lr"], group["temperature"])
        return loss

    def _move(self, p: Tensor, gradient: Tensor, lr: float, temperature: float) -> None:
        std = (2 * self.friction * lr * temperature / self.num_examples) ** 0.5
        velocity = -lr * gradient
        if std:
            velocity += std * torch.randn_like(p)
        if self.friction < 1:
            kept = self.state[p].setdefault("velocity", torch.zeros_like(p))
            velocity = kept.mul_(1 - self.friction).add_(velocity)
        p.add_(velocity)


def plain_rate(rate: float | Literal["recipe"], recipe: Recipe) -> float:
    """The learning rate of a plain gradient step: as given, or what the recipe's SGD comes to, lr / (1 - momentum).

    Raises:
        Unsupported: the recipe's optimizer is another, whose rate means nothing to a gradient step.
    """
    if rate != "recipe":
        return rate
    if recipe.optimizer != "sgd":
        raise Unsupported(f"a learning rate of {recipe.optimizer} is no step size of a plain gradient: give it lr=")
    return recipe.lr / (1 - recipe.momentum)
