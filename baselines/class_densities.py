"""The density of features as a mixture of one Gaussian for each class."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from baselines.protocol import Unsupported
from baselines.train import Diverged

LARGEST = 2**27
"""Numbers of the largest set of covariances: 1 GiB of float64."""
RIDGES = tuple(10.0**power for power in range(-6, 1))
"""What is added to each covariance's diagonal, in units of the mean variance of all features."""
LOWEST = -1e4
"""Log density per feature below which all is equally foreign: float32 would round the probabilities beside it."""

Batches = list[tuple[Tensor, Tensor]]


class ClassDensities(nn.Module):
    """q(z) = sum over classes of (share of the class) N(z; its mean, its covariance + ridge), in float64.

    Source: Mukhoti et al. 2023, arXiv 2102.11582, section 4.
    """

    log_shares: Tensor
    means: Tensor
    roots: Tensor

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        if classes * size**2 > LARGEST:
            raise Unsupported(f"{classes} covariances of {size} features are too large")
        self.register_buffer("log_shares", torch.zeros(classes).double())
        self.register_buffer("means", torch.zeros(classes, size).double())
        self.register_buffer("roots", torch.eye(size).double().repeat(classes, 1, 1))

    def log_density(self, features: Tensor) -> Tensor:
        """[batch, size] -> [batch]: log density per feature, nats, in the type of ``features``."""
        return (self.total(features.double()) / features.shape[1]).clamp(min=LOWEST).to(features)

    def total(self, z: Tensor) -> Tensor:
        """Log density [batch] of features [batch, size] in float64."""
        terms = []
        for log_share, mean, root in zip(self.log_shares, self.means, self.roots, strict=True):
            squares = ((z - mean) @ root.T).square().sum(1)
            terms.append(log_share - 0.5 * (squares + z.shape[1] * math.log(2 * math.pi)) + root.diagonal().log().sum())
        return torch.stack(terms, 1).logsumexp(1)

    @torch.no_grad()
    def fit(self, train: Batches, validation: Batches) -> None:
        """Moments of the training features of each class, and the ridge of greatest density of the validation ones.

        Raises:
            Diverged: the features are not finite.
        """
        z, y = (torch.cat(parts) for parts in zip(*train, strict=True))
        if not z.isfinite().all():
            raise Diverged("the network's features of the training examples are not finite numbers")
        seen = torch.cat([features for features, _ in validation]).double()
        covariances, scale = self._moments(z.double(), y), z.double().var(0).mean()
        best = -math.inf
        for ridge in RIDGES:
            before = self.roots.clone()
            self._set_roots(covariances, ridge * scale)
            found = float(self.total(seen).mean())
            if found > best:
                best = found
            else:
                self.roots.copy_(before)

    def _moments(self, z: Tensor, y: Tensor) -> Tensor:
        """Set shares and means; the covariances. A class without examples has no share."""
        counts = y.bincount(minlength=len(self.means))
        self.log_shares.copy_((counts / counts.sum()).log())
        covariances = torch.zeros_like(self.roots)
        for index, count in enumerate(counts.tolist()):
            if count:
                own = z[y == index]
                self.means[index] = own.mean(0)
                centred = own - self.means[index]
                covariances[index] = centred.T @ centred / max(1, count - 1)
        return covariances

    def _set_roots(self, covariances: Tensor, ridge: Tensor) -> None:
        """The inverse of each lower Cholesky factor: a number of the density at a time, |root (z - mean)|²."""
        identity = torch.eye(covariances.shape[1]).to(covariances)
        for root, covariance in zip(self.roots, covariances, strict=True):
            factor = torch.linalg.cholesky(covariance + ridge * identity)
            root.copy_(torch.linalg.solve_triangular(factor, identity, upper=False))
