"""A Gaussian over the weights of a network's head, by its generalized Gauss-Newton matrix (GGN), in closed form.

The head is linear, so its outputs are linear in its weights [outputs, features] and bias: linearizing the network and
drawing weights are the same thing here, and no Jacobian is ever formed.

Source: Daxberger et al. 2021, arXiv 2106.14806; Kronecker factors: Ritter, Botev & Barber 2018, ICLR. The posteriors
are those of laplace-torch, which the tests compare with.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Literal, Protocol, cast

import torch
from torch import Tensor, nn

from baselines.heads import features_and_outputs, find_head
from baselines.likelihood import LOG_VARIANCE, Likelihood
from baselines.prior_precision import GRID, tuned
from baselines.protocol import Problem, Unsupported
from baselines.train import Diverged

Structure = Literal["diag", "kron", "full"]


class Choices(Protocol):
    """What a posterior must know of `baselines.laplace.Laplace`: its fields of these names."""

    @property
    def structure(self) -> Structure: ...  # noqa: D102
    @property
    def predictive(self) -> Literal["glm", "nn"]: ...  # noqa: D102
    @property
    def prior_precision(self) -> float | Literal["marglik", "validation"]: ...  # noqa: D102
    @property
    def draws(self) -> int: ...  # noqa: D102
    @property
    def num_draws(self) -> int | None: ...  # noqa: D102


LARGEST_FULL = 2**15
"""Weights of the largest dense posterior: 4 GiB of float32, twice."""


class LastLayer(nn.Module, ABC):
    """N(weights, (GGN + prior precision)^-1) over the weights and bias of a head, in the GGN's eigenbasis.

    The state is a set of buffers; before `fit` the GGN is zero. Biases are a last column of the weights.
    """

    values: Tensor
    prior_precision: Tensor

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        self.bias = head.bias is not None
        self.size = (head.out_features, head.in_features + self.bias)
        like = head.weight.detach()
        self.register_buffer("prior_precision", like.new_ones(()))
        self.register_buffer("values", like.new_zeros(self.spectrum_shape))

    @property
    @abstractmethod
    def spectrum_shape(self) -> tuple[int, ...]:
        """Shape of the GGN's eigenvalues."""

    @abstractmethod
    def fit(self, batches: Iterable[tuple[Tensor, Tensor]], likelihood: Likelihood) -> None:
        """Sum the GGN up over (features, outputs) of every training example."""

    @abstractmethod
    def variance(self, features: Tensor) -> Tensor:
        """Variance of each output: [batch, features] -> [batch, outputs]."""

    @abstractmethod
    def scaled(self, noise: Tensor) -> Tensor:
        """Deviations of the weights, [draws, outputs, inputs], from standard normal numbers of that shape."""

    @property
    def precision(self) -> Tensor:
        """Posterior precision in the eigenbasis."""
        return self.values + self.prior_precision

    def augmented(self, features: Tensor) -> Tensor:
        """Features, and a one for the bias."""
        return torch.cat([features, features.new_ones(len(features), 1)], 1) if self.bias else features

    def tune_prior(self, weights: Tensor) -> None:
        """Set the prior precision to the one of greatest marginal likelihood; see `tuned`."""
        self.prior_precision.copy_(tuned(self.values, weights))


class Diagonal(LastLayer):
    """The GGN's diagonal."""

    @property
    def spectrum_shape(self) -> tuple[int, ...]:
        """One for each weight."""
        return self.size

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]], likelihood: Likelihood) -> None:
        """Sum over examples of (a - b²) times the squared features."""
        total = torch.zeros_like(self.values)
        for features, outputs in _finite(batches):
            a, b = likelihood.fisher(outputs)
            total += (a - b**2).T @ self.augmented(features) ** 2
        self.values.copy_(total)

    def variance(self, features: Tensor) -> Tensor:
        """Squared features times the weights' variances."""
        return self.augmented(features) ** 2 @ (1 / self.precision).T

    def scaled(self, noise: Tensor) -> Tensor:
        """Each number by its own std."""
        return noise * self.precision.rsqrt()


class Kronecker(LastLayer):
    """Weights: B ⊗ A with B the sum of the outputs' Fisher informations and A the mean of φφᵀ. Bias: B, independent."""

    left: Tensor
    right: Tensor

    def __init__(self, head: nn.Linear) -> None:
        super().__init__(head)
        like = head.weight.detach()
        for name, size in (("left", head.out_features), ("right", head.in_features)):
            self.register_buffer(name, torch.eye(size, dtype=like.dtype, device=like.device))

    @property
    def spectrum_shape(self) -> tuple[int, ...]:
        """Products of the factors' eigenvalues; the bias's are the last column."""
        return self.size

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]], likelihood: Likelihood) -> None:
        """Sum both factors up and decompose them."""
        inputs, outer, count = torch.zeros_like(self.right), torch.zeros_like(self.left), 0
        for features, outputs in _finite(batches):
            a, b = likelihood.fisher(outputs)
            outer += a.sum(0).diag() - b.T @ b
            inputs += features.T @ features
            count += len(features)
        (left, left_vectors), (right, right_vectors) = _decompose(outer), _decompose(inputs / max(1, count))
        columns = [left.outer(right), left[:, None]] if self.bias else [left.outer(right)]
        self.values.copy_(torch.cat(columns, 1))
        self.left.copy_(left_vectors)
        self.right.copy_(right_vectors)

    def variance(self, features: Tensor) -> Tensor:
        """In the eigenbasis the outputs are independent: (φV)² / precision, turned back by the squared vectors."""
        rotated = self.augmented(features @ self.right)
        return (rotated**2 @ (1 / self.precision).T) @ (self.left**2).T

    def scaled(self, noise: Tensor) -> Tensor:
        """Draws in the eigenbasis, turned back."""
        drawn = self.left @ (noise * self.precision.rsqrt())
        size = len(self.right)
        return torch.cat([drawn[..., :size] @ self.right.T, drawn[..., size:]], -1)


class Full(LastLayer):
    """The whole GGN."""

    vectors: Tensor

    def __init__(self, head: nn.Linear) -> None:
        super().__init__(head)
        like, size = head.weight.detach(), self.values.numel()
        if size > LARGEST_FULL:
            raise Unsupported(f"a full posterior of {size} weights has {size}² numbers: use structure=kron or diag")
        self.register_buffer("vectors", torch.eye(size, dtype=like.dtype, device=like.device))

    @property
    def spectrum_shape(self) -> tuple[int, ...]:
        """One for each weight, in no order."""
        return (self.size[0] * self.size[1],)

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]], likelihood: Likelihood) -> None:
        """Sum over examples of (diag(a) - b bᵀ) ⊗ φφᵀ, and decompose it."""
        outputs_, inputs = self.size
        total = torch.zeros(outputs_, outputs_, inputs, inputs, dtype=self.values.dtype, device=self.values.device)
        for features, outputs in _finite(batches):
            phi, (a, b) = self.augmented(features), likelihood.fisher(outputs)
            spread = torch.einsum("bc,bi->bci", b, phi).flatten(1)
            total -= (spread.T @ spread).view(outputs_, inputs, outputs_, inputs).transpose(1, 2)
            for c in range(outputs_):
                total[c, c] += (phi * a[:, c, None]).T @ phi
        values, vectors = _decompose(total.transpose(1, 2).reshape(self.vectors.shape))
        self.values.copy_(values)
        self.vectors.copy_(vectors)

    def variance(self, features: Tensor) -> Tensor:
        """Jacobians are features in one output's place: their products with the eigenvectors, an output at a time."""
        phi, basis = self.augmented(features), (self.vectors * self.precision.rsqrt()).view(*self.size, -1)
        return torch.stack([(phi @ part).square().sum(1) for part in basis], 1)

    def scaled(self, noise: Tensor) -> Tensor:
        """Draws in the eigenbasis, turned back."""
        drawn = noise.flatten(1) * self.precision.rsqrt() @ self.vectors.T
        return drawn.view(-1, *self.size)


STRUCTURES: dict[Structure, type[LastLayer]] = {"diag": Diagonal, "kron": Kronecker, "full": Full}


def closed_form(likelihood: Likelihood, mean: Tensor, variance: Tensor) -> Tensor:
    """Outputs of one member whose prediction is that of all Gaussian outputs, approximately.

    Categorical: the probit approximation on each logit (MacKay 1992). Gaussian: the mean's variance is added to the
    noise's, which is exact for given noise; what is uncertain about the noise itself only draws show.

    Args:
        likelihood: what the outputs mean.
        mean: [batch, outputs].
        variance: of each output, [batch, outputs].
    """
    if likelihood.kind == "categorical":
        return mean / (1 + math.pi / 8 * variance).sqrt()
    return torch.stack([mean[:, 0], torch.logaddexp(mean[:, 1].clamp(*LOG_VARIANCE), variance[:, 0].log())], 1)


def _finite(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterable[tuple[Tensor, Tensor]]:
    for features, outputs in batches:
        if not (features.isfinite().all() and outputs.isfinite().all()):
            raise Diverged("the network's features or outputs of the training examples are not finite numbers")
        yield features, outputs


def _decompose(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, none below zero, and eigenvectors of a symmetric matrix, found in float64.

    In float32 it fails on the features of a pretrained network, of which many are zero throughout.
    """
    values, vectors = torch.linalg.eigh(matrix.double())
    return values.clamp(min=0).to(matrix), vectors.to(matrix)


class LastLayerPredictor(nn.Module):
    """A network with a Gaussian over the weights of its head."""

    def __init__(self, method: Choices, problem: Problem) -> None:
        super().__init__()
        self.model = problem.new_model().eval()
        self.method, self.likelihood, self.seed = method, problem.likelihood, problem.seeds.noise("draws")
        self._head = [find_head(self.model, problem.example)]  # in a list: registered once, as the model's
        self.posterior = STRUCTURES[method.structure](self._head[0])
        self._drawn: Tensor | None = None
        self.register_load_state_dict_post_hook(lambda module, keys: setattr(module, "_drawn", None))

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [1, batch, outputs] with the probit link, else [draws, batch, outputs]."""
        features, mean = features_and_outputs(self.model, self._head[0], x)
        if self.method.num_draws is None:
            return closed_form(self.likelihood, mean, self.posterior.variance(features)).unsqueeze(0)
        return mean + self.posterior.augmented(features) @ self._deviations(self.method.num_draws).mT

    @torch.no_grad()
    def find_posterior(self, problem: Problem) -> None:
        """Sum the curvature up over the training examples, never augmented, and choose the prior precision."""
        head, posterior, self._drawn = self._head[0], self.posterior, None
        batches = problem.train.ordered(problem.recipe.batch_size)
        posterior.fit((features_and_outputs(self.model, head, x) for x, _ in batches), self.likelihood)
        if self.method.prior_precision == "marglik":
            posterior.tune_prior(torch.cat([p.flatten() for p in head.parameters()]))
        elif self.method.prior_precision == "validation":
            self._minimise_validation_loss(problem)
        else:
            posterior.prior_precision.fill_(cast(float, self.method.prior_precision))

    def _minimise_validation_loss(self, problem: Problem) -> None:
        """Set the prior precision to that of `GRID` whose closed form loses least on the validation examples."""
        batches = list(problem.validation.ordered(problem.recipe.batch_size))
        seen = [(*features_and_outputs(self.model, self._head[0], x), y) for x, y in batches]

        def loss(precision: float) -> float:
            self.posterior.prior_precision.fill_(precision)
            forms = ((closed_form(self.likelihood, mean, self.posterior.variance(z)), y) for z, mean, y in seen)
            return sum(float(self.likelihood.loss(outputs, y)) * len(y) for outputs, y in forms)

        self.posterior.prior_precision.fill_(min(GRID, key=loss))

    def _deviations(self, draws: int) -> Tensor:
        """Deviations of the head's weights, drawn at the first prediction and kept: the same for every batch."""
        if self._drawn is None:
            generator, like = torch.Generator().manual_seed(self.seed), self.posterior.values
            noise = torch.randn(draws, *self.posterior.size, generator=generator)  # the same numbers on every device
            with torch.inference_mode(False), torch.no_grad():
                self._drawn = torch.cat([self.posterior.scaled(z.to(like)) for z in noise.split(1)])
        return self._drawn
