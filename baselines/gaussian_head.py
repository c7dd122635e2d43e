"""A Gaussian over the weights of a network's last layer that is trained with the network: one for each output."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from baselines.heads import find_head, replace_head
from baselines.protocol import Problem, Unsupported

LARGEST_FULL = 2**26
"""Numbers of the largest set of dense covariances: 256 MiB of float32."""


class GaussianHead(nn.Module):
    """Independent Gaussians N(mean_k, L_k L_kᵀ) over the weights of each output k; a bias is the last weight.

    L = diag(std) (I + O) with O strictly lower triangular, and no O in the diagonal structure.

    Args:
        head: the layer whose weights are where the means begin.
        outputs: how many of its outputs there are.
        structure: ``diag``: independent weights; ``full``: one covariance for all weights of an output.
        std: where the standard deviations begin.
    """

    def __init__(self, head: nn.Linear, outputs: int, structure: Literal["diag", "full"], std: float) -> None:
        super().__init__()
        self.bias = head.bias is not None
        parts = [head.weight, head.bias[:, None]] if self.bias else [head.weight]
        self.mean = nn.Parameter(torch.cat(parts, 1)[:outputs].detach().clone())
        self.log_std = nn.Parameter(torch.full_like(self.mean, math.log(std)))
        size = self.mean.shape[1]
        if structure == "full" and outputs * size**2 > LARGEST_FULL:
            raise Unsupported(f"{outputs} full covariances of {size} weights are too large: use structure=diag")
        self.lower = nn.Parameter(self.mean.new_zeros(outputs, size, size)) if structure == "full" else None
        self._drawn: tuple[Any, Tensor] | None = None

    @property
    def inputs(self) -> int:
        """Weights of one output, its bias among them."""
        return self.mean.shape[1]

    def factor(self) -> Tensor:
        """L, [outputs, inputs, inputs]; of the diagonal structure its diagonal, [outputs, inputs]."""
        std = self.log_std.exp()
        if self.lower is None:
            return std
        return std[:, :, None] * (torch.eye(self.inputs).to(std) + self.lower.tril(-1))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each output: [batch, features] -> [batch, outputs] twice."""
        phi, factor = self.augmented(features), self.factor()
        if self.lower is None:
            return phi @ self.mean.T, phi**2 @ (factor**2).T
        return phi @ self.mean.T, torch.einsum("bi,oij->boj", phi, factor).square().sum(-1)

    def augmented(self, features: Tensor) -> Tensor:
        """Features, and a one for the bias."""
        return torch.cat([features, features.new_ones(len(features), 1)], 1) if self.bias else features

    def kl(self, prior_variance: float) -> Tensor:
        """KL divergence from N(0, prior_variance I), nats."""
        ratio = (self.mean.square().sum() + self.factor().square().sum()) / prior_variance
        return 0.5 * (ratio + self.mean.numel() * (math.log(prior_variance) - 1)) - self.log_std.sum()

    def draws(self, count: int, seed: int) -> Tensor:
        """Weights [draws, outputs, inputs]: the same for one state and seed, whatever the device."""
        state = (count, seed, *((id(p), p._version) for p in self.parameters()))
        if self._drawn is None or self._drawn[0] != state:
            noise = torch.randn(count, *self.mean.shape, generator=torch.Generator().manual_seed(seed)).to(self.mean)
            with torch.inference_mode(False), torch.no_grad():
                factor = self.factor()
                change = noise * factor if self.lower is None else torch.einsum("oij,noj->noi", factor, noise)
                self._drawn = state, self.mean + change
        return self._drawn[1]


class GaussianHeadNetwork(nn.Module):
    """A network whose head is a `GaussianHead`: ``model`` gives features.

    Args:
        problem: gives the network.
        outputs, structure: as in `GaussianHead`.
        std: where the standard deviations begin, in units of features^-1/2.
    """

    def __init__(self, problem: Problem, outputs: int, structure: Literal["diag", "full"], std: float) -> None:
        super().__init__()
        self.model = problem.new_model().eval()
        linear = find_head(self.model, problem.example)
        self.head = GaussianHead(linear, outputs, structure, std * linear.in_features**-0.5)
        replace_head(self.model, linear, nn.Identity())

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each output: inputs [batch, ...] -> [batch, outputs] twice."""
        return self.head(self.model(x))

    def drawn_outputs(self, x: Tensor, count: int, seed: int) -> Tensor:
        """Outputs [draws, batch, outputs] of weights that are drawn once."""
        return self.head.augmented(self.model(x)) @ self.head.draws(count, seed).mT

    def groups(self, problem: Problem) -> list[dict[str, Any]]:
        """Optimizer groups: the posterior is under no weight decay, since the KL is its prior's term.

        Gradient descent takes natural steps on log std: its Fisher information is 2 and the loss is per example, so
        that the rate is lr N / 2, and 1/inputs of it on O, whose curvature is up to that much larger. At the rate of
        the weights a posterior of some thousand examples would stay where it began. Adam scales its steps itself.
        Gradients are cut at 2 / N, a step of lr: far above the optimum they grow with the square of the std.
        """
        recipe, head, most = problem.recipe, self.head, 2 / problem.train.num_examples
        for factor in (head.log_std, head.lower):
            if factor is not None:
                factor.register_hook(lambda gradient: gradient.clamp(-most, most))
        natural = recipe.lr * (problem.train.num_examples / 2 if recipe.optimizer == "sgd" else 1)
        groups: list[dict[str, Any]] = [{"params": list(self.model.parameters())}]
        groups += [{"params": [p for p in self.parameters() if self._is_mean(p)], "weight_decay": 0.0}]
        groups += [{"params": [head.log_std], "lr": natural, "weight_decay": 0.0}]
        if head.lower is not None:
            lr = natural / (head.inputs if recipe.optimizer == "sgd" else 1)
            groups += [{"params": [head.lower], "lr": lr, "weight_decay": 0.0}]
        return groups

    def _is_mean(self, parameter: nn.Parameter) -> bool:
        others = [*self.model.parameters(), self.head.log_std, self.head.lower]
        return all(parameter is not other for other in others)
