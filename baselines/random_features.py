"""A Gaussian process of the squared-exponential kernel, by random features and a Laplace approximation."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from baselines.likelihood import Likelihood


class RandomFeatureGP(nn.Module):
    """f = φᵀβ with β ~ N(0, I / ridge), so that Cov f(x) f(x') = φ(x)ᵀφ(x') / ridge, near the kernel's value.

    φ = √(2/features) cos(Wx + b), W ~ N(0, 1 / (length² size)) and b uniform (Rahimi & Recht 2007): the kernel is
    exp(-|x - x'|² / (2 length² size)). One covariance of β serves all outputs.

    Args:
        head: the layer in whose place it stands: size of inputs, outputs, device and type are its.
        count: random features.
        length_scale: of the kernel, in units of √size.
        seed: of the features.
    """

    weight: Tensor
    phase: Tensor
    root: Tensor

    def __init__(self, head: nn.Linear, count: int, length_scale: float, seed: int) -> None:
        super().__init__()
        generator, like = torch.Generator().manual_seed(seed), head.weight.detach()
        weight = torch.randn(count, head.in_features, generator=generator) / (length_scale * head.in_features**0.5)
        self.register_buffer("weight", weight.to(like))
        self.register_buffer("phase", (2 * math.pi * torch.rand(count, generator=generator)).to(like))
        self.register_buffer("root", torch.eye(count).to(like))
        self.beta = nn.Parameter(like.new_zeros(count, head.out_features))

    def features(self, x: Tensor) -> Tensor:
        """φ: [batch, size] -> [batch, features]."""
        return (x @ self.weight.T + self.phase).cos() * math.sqrt(2 / len(self.phase))

    def forward(self, phi: Tensor) -> Tensor:
        """Mean outputs [batch, outputs] of features φ."""
        return phi @ self.beta

    def variance(self, phi: Tensor) -> Tensor:
        """Variance [batch] of each output."""
        return (phi @ self.root).square().sum(1)

    def deviations(self, draws: int, seed: int) -> Tensor:
        """Deviations of β from its mean, [draws, outputs, features]: the same for one state and seed."""
        noise = torch.randn(draws, *self.beta.T.shape, generator=torch.Generator().manual_seed(seed))
        return noise.to(self.root) @ self.root.T

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor], likelihood: Likelihood, ridge: float) -> None:
        """Set the covariance of β to the inverse of ridge I + sum of (curvature of the loss) φφᵀ over all examples.

        The curvature is that of the likelihood's mean loss in an output: p(1 - p) of the least certain class, the
        precision of a number's mean.
        """
        precision = ridge * torch.eye(len(self.phase), dtype=torch.float64, device=self.phase.device)
        for phi in batches:
            a, b = likelihood.fisher(self(phi))
            curvature = (a - b**2).amax(1) if likelihood.kind == "categorical" else a[:, 0]
            precision += (phi.T * curvature @ phi).double()
        inverse_factor = torch.linalg.solve_triangular(
            torch.linalg.cholesky(precision), torch.eye(len(precision)).to(precision), upper=False
        )
        self.root.copy_(inverse_factor.T)
