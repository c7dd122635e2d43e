"""Variational inference with a diagonal Gaussian over all weights, by natural-gradient steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from baselines.weight_draws import Values, WeightDraws


class GaussianWeights(WeightDraws):
    """A network whose weights are the mean of a Gaussian, and the precision of each of them.

    Args:
        model: the network.
        draws: weight draws to predict with.
        seed: of the draws.
        precision: that every weight has at first.
    """

    def __init__(self, model: nn.Module, draws: int, seed: int, precision: float) -> None:
        super().__init__(model, draws, seed)
        for i, p in enumerate(model.parameters()):
            self.register_buffer(f"precision_{i}", torch.full_like(p.detach(), precision))

    @torch.no_grad()
    def set_precision(self, precision: Iterable[Tensor]) -> None:
        """Take over the precision of every parameter, in the network's order."""
        for i, value in enumerate(precision):
            self.get_buffer(f"precision_{i}").copy_(value)
        self.forget()

    def draw(self, index: int, generator: torch.Generator) -> Values:
        """Weights of one draw."""
        values = {}
        for i, (name, p) in enumerate(self.model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator).to(p)
            values[name] = p + noise * self.get_buffer(f"precision_{i}").rsqrt()
        return values


class VariationalOnlineNewton(Optimizer):
    """IVON: one draw of the weights a step, and a running estimate of the diagonal of the Hessian.

    Source: Shen et al. 2024, arXiv 2402.17641, algorithm 1. The learning rate is multiplied
    with ``hess_init + weight_decay``, so that the first steps are as long as plain gradient steps of that rate. Noise
    comes from the global generator, which the training loop seeds.

    Args:
        params: parameters, or groups of them with learning rates of their own: the means.
        lr: learning rate.
        num_examples: effective sample size (lambda).
        weight_decay: precision of the prior, per example (delta).
        hess_init: first estimate of the Hessian (h0).
        beta1: decay of the running mean of gradients.
        beta2: decay of the running mean of Hessians.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        num_examples: int,
        weight_decay: float = 0.0,
        hess_init: float = 1.0,
        beta1: float = 0.9,
        beta2: float = 0.99999,
    ) -> None:
        super().__init__(params, {"lr": lr})
        self.num_examples, self.weight_decay, self.hess_init = num_examples, weight_decay, hess_init
        self.beta1, self.beta2, self.steps = beta1, beta2, 0
        for p in self._parameters():
            self.state[p] = {"momentum": torch.zeros_like(p), "hessian": torch.full_like(p, hess_init)}

    def precision(self, p: Tensor) -> Tensor:
        """Precision of the Gaussian of a parameter, 1 / sigma²."""
        return self.num_examples * (self.state[p]["hessian"] + self.weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]  # it needs the closure
        """One step: loss and gradient at a draw of the weights, then the mean and the Hessian; returns the loss."""
        parameters = self._parameters()
        means = [p.clone() for p in parameters]
        sizes = [p.numel() for p in parameters]
        drawn = torch.randn(sum(sizes), dtype=means[0].dtype, device=means[0].device).split(sizes)
        noises = [z.reshape(p.shape) * self.precision(p).rsqrt() for z, p in zip(drawn, parameters, strict=True)]
        for p, noise in zip(parameters, noises, strict=True):
            p.add_(noise)
        with torch.enable_grad():
            loss = closure()
        self.steps += 1
        rates = [group["lr"] for group in self.param_groups for _ in group["params"]]
        for p, mean, noise, lr in zip(parameters, means, noises, rates, strict=True):
            p.copy_(mean if p.grad is None else self._moved(p, mean, p.grad, noise, lr))
        return loss

    def _moved(self, p: Tensor, mean: Tensor, gradient: Tensor, noise: Tensor, lr: float) -> Tensor:
        """The new mean of one parameter (lines 3 to 7)."""
        momentum, h, decay = self.state[p]["momentum"], self.state[p]["hessian"], self.weight_decay
        momentum.lerp_(gradient, 1 - self.beta1)
        estimate, rest = gradient * noise * self.precision(p), 1 - self.beta2
        h.copy_(self.beta2 * h + rest * estimate + 0.5 * rest**2 * (h - estimate) ** 2 / (h + decay))
        step = lr * (self.hess_init + decay)
        return mean - step * (momentum / (1 - self.beta1**self.steps) + decay * mean) / (h + decay)

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]
