"""Distances between the variational distribution and a prior of the same family, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from ivi.covariance import Diagonal
from ivi.layers import RandomLayer
from ivi.variationalize import random_layers


@final
@dataclass(frozen=True, eq=False)
class Gaussian:
    """N(mean, Cov) over the P weights and biases of one layer, Cov = Sᵀ-rows' product + diag² + std² I.

    Attributes:
        mean: [P].
        rows: Sᵀ [D, P], or None.
        diagonal: standard deviations [P] (of any sign), or None.
        std: of the isotropic part.
    """

    mean: Tensor
    rows: Tensor | None = None
    diagonal: Tensor | None = None
    std: float = 0.0


@final
@dataclass(frozen=True, eq=False)
class Prior:
    """A frozen Gaussian for every random layer.

    Attributes:
        layers: layer name -> its Gaussian.
        units: layer name -> unit of its initial std, that of `kl`'s noise floor.
    """

    layers: Mapping[str, Gaussian]
    units: Mapping[str, float]


def prior(net: nn.Module, std: float | None = None) -> Prior:
    """Freeze the network's present distribution as a prior; taken before training it is the one q starts at.

    Args:
        net: a variational network.
        std: if given, the prior is N(0, std² I) instead.
    """
    layers = random_layers(net)
    with torch.no_grad(), _without_autocast(net):
        if std is None:
            gaussians = {name: _detached(_gaussian(layer)) for name, layer in layers.items()}
        else:
            gaussians = {n: Gaussian(torch.zeros_like(_gaussian(x).mean), std=std) for n, x in layers.items()}
    return Prior(gaussians, {name: layer.prior_std[0] for name, layer in layers.items()})


def _gaussian(layer: RandomLayer) -> Gaussian:
    """The layer's distribution, in single precision at least: no factorization takes less."""
    mean = torch.cat([_wide(p).flatten() for p in (layer.mean_weight, layer.mean_bias) if p is not None])
    factors = {name: _wide(factor) for name, factor in layer.factors.items()}
    if isinstance(layer.covariance, Diagonal):
        return Gaussian(mean, diagonal=layer.covariance.diagonal(factors, layer.shape))
    return Gaussian(mean, rows=layer.covariance.rows(factors, layer.shape))


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


@contextmanager
def _without_autocast(net: nn.Module) -> Iterator[None]:
    """Autocast would make the products S Sᵀ in half precision, where the differences that count here are lost."""
    with ExitStack() as stack:
        for kind in {"cpu", *(parameter.device.type for parameter in net.parameters())}:
            if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def _detached(g: Gaussian) -> Gaussian:
    rows, diagonal = (None if part is None else part.detach().clone() for part in (g.rows, g.diagonal))
    return Gaussian(g.mean.detach().clone(), rows, diagonal, g.std)


def _pairs(net: nn.Module, prior: Prior) -> list[tuple[Gaussian, Gaussian, float]]:
    layers = random_layers(net)
    if layers.keys() != prior.layers.keys():
        raise ValueError(f"the prior is of the layers {list(prior.layers)}, the network's are {list(layers)}")
    return [(_gaussian(layer), prior.layers[name], prior.units[name]) for name, layer in layers.items()]


def kl(net: nn.Module, prior: Prior, floor: float = 1.0) -> Tensor:
    """KL(q || prior) in nats, summed over the random layers; differentiable. O(P R²) for rank R.

    A mean-field q (`ivi.Diagonal`) has a density, and its KL is exact. A low-rank q has none: its KL to a prior of
    another range is infinite. There the KL is taken between both *plus* independent noise N(0, floor² sigma² I), sigma
    the unit of the layer's initial std (`ivi.variationalize`): finite, zero only where the two agree, and never above
    the KL without noise (data processing). Small floors forbid the mean to leave the prior's range; floor 1 holds it
    as N(0, sigma²) would. An isotropic prior already has full rank, and the noise is then added to q alone.

    Computed in single precision at least, under autocast and for half-precision networks too.

    Args:
        net: a variational network.
        prior: from `ivi.prior`, of the same network.
        floor: std of the noise in units of sigma; for covariances other than `ivi.Diagonal`.
    """
    with _without_autocast(net):
        terms = [_kl(q, p, floor * unit) for q, p, unit in _pairs(net, prior)]
        # No divergence is negative; rounding of terms that cancel is. The gradient at the minimum is zero either way.
        return torch.stack(terms).clamp(min=0).sum()


def wasserstein2(net: nn.Module, prior: Prior) -> Tensor:
    """Squared 2-Wasserstein distance from q to the prior, summed over the random layers; differentiable.

    |mu - mu0|² + |S|_F² + |S0|_F² - 2 |Sᵀ S0|_*, with |.|_* the nuclear norm of an R x R matrix: O(P R²). Finite for
    any ranks. In single precision at least, as `kl`.
    """
    with _without_autocast(net):
        terms = [gaussian_wasserstein2(q, p) for q, p, _ in _pairs(net, prior)]
        return torch.stack(terms).clamp(min=0).sum()  # as in `kl`


def gaussian_wasserstein2(q: Gaussian, p: Gaussian) -> Tensor:
    """Squared 2-Wasserstein distance between the Gaussians of one layer; see `wasserstein2`."""
    shift = (q.mean - p.mean).square().sum()
    size = q.mean.numel()
    if q.diagonal is not None:
        std = q.diagonal.new_tensor(p.std) if p.diagonal is None else p.diagonal.abs()
        return shift + (q.diagonal.abs() - std).square().sum()
    assert q.rows is not None
    if p.rows is None:
        return shift + q.rows.square().sum() + size * p.std**2 - 2 * p.std * torch.linalg.svdvals(q.rows).sum()
    overlap = torch.linalg.svdvals(q.rows @ p.rows.T).sum()
    return shift + q.rows.square().sum() + p.rows.square().sum() - 2 * overlap


def _kl(q: Gaussian, p: Gaussian, noise: float) -> Tensor:
    if q.diagonal is not None:
        std = q.diagonal.new_tensor(p.std) if p.diagonal is None else p.diagonal.abs()
        ratio = (q.diagonal / std).square()
        return 0.5 * (ratio + ((q.mean - p.mean) / std).square() - 1 - ratio.log()).sum()
    assert q.rows is not None
    size, variance = q.mean.numel(), noise**2
    prior_variance = variance if p.rows is not None else p.std**2
    ratio = variance / prior_variance
    shift = q.mean - p.mean
    energy, logdet = q.rows.square().sum() + shift.square().sum(), -_logdet(q.rows, variance)
    if p.rows is not None:
        # Woodbury: (S0 S0ᵀ + b I)^-1 = (I - S0 (b I + S0ᵀ S0)^-1 S0ᵀ) / b
        gram = p.rows @ p.rows.T
        inner = torch.linalg.cholesky(gram + variance * torch.eye(len(gram), dtype=gram.dtype, device=gram.device))
        seen = p.rows @ torch.cat([q.rows, shift.unsqueeze(0)]).T
        energy = energy - torch.linalg.solve_triangular(inner, seen, upper=False).square().sum()
        energy = energy - variance * torch.cholesky_solve(gram, inner).trace()
        logdet = logdet + _logdet(p.rows, variance)
    # P, the largest term by far, stays out of single precision.
    return 0.5 * (energy / prior_variance + logdet + size * (ratio - 1 - math.log(ratio)))


def _logdet(rows: Tensor, variance: float) -> Tensor:
    """log det(I + S Sᵀ / variance), by the determinant lemma on the smaller side."""
    gram = rows @ rows.T / variance
    return (
        torch.linalg.cholesky(gram + torch.eye(len(gram), dtype=gram.dtype, device=gram.device)).diagonal().log().sum()
        * 2
    )
