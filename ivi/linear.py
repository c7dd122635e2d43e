"""Linear models under N(mu, S Sᵀ): what training on the expected loss converges to, in closed form and by running it.

Source: Wenger, Coker, Marusic, Cunningham, "Variational Deep Learning via Implicit Regularization", arXiv 2505.20235.
Everything is meant for float64. N examples, P weights, R columns of S.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor

from ivi.divergences import Gaussian, gaussian_wasserstein2


class Posterior(NamedTuple):
    """N(mean, factor factorᵀ): mean [P], factor [P, R]."""

    mean: Tensor
    factor: Tensor


Gradient = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
MakeOptimizer = Callable[[list[Tensor]], torch.optim.Optimizer]


@final
@dataclass(frozen=True, eq=False)
class Regression:
    """Squared loss 1/2 |y - X w|² with more weights than examples.

    Attributes:
        x: X, [N, P] with P > N, of rank N.
        y: targets, [N].
    """

    x: Tensor
    y: Tensor

    def limit(self, prior: Posterior) -> Posterior:
        """Where gradient descent from ``prior`` ends: P_null mu0 + X⁺ y and P_null S0, P_null = I - X⁺ X.

        It is the minimizer of the 2-Wasserstein distance to the prior among all q of zero loss, and the law of an
        infinite ensemble of linear models that start from the prior.
        """
        inverse = torch.linalg.pinv(self.x)
        mean = prior.mean + inverse @ (self.y - self.x @ prior.mean)
        return Posterior(mean, prior.factor - inverse @ (self.x @ prior.factor))

    def least_wasserstein2(self, prior: Posterior) -> Tensor:
        """Squared distance from the prior to the nearest q of zero loss: |X⁺(y - X mu0)|² + tr(X⁺ X S0 S0ᵀ)."""
        inverse = torch.linalg.pinv(self.x)
        shift = (inverse @ (self.y - self.x @ prior.mean)).square().sum()
        return shift + (inverse @ (self.x @ prior.factor) * prior.factor).sum()

    def expected_loss(self, q: Posterior) -> Tensor:
        """1/2 |y - X mu|² + 1/2 |X S|_F², without sampling."""
        return 0.5 * ((self.y - self.x @ q.mean).square().sum() + (self.x @ q.factor).square().sum())

    def gradient(self, mean: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of the expected loss."""
        return self.x.T @ (self.x @ mean - self.y), self.x.T @ (self.x @ factor)

    def one_draw_gradient(self, batch_size: int, generator: torch.Generator) -> Gradient:
        """Unbiased estimate of `gradient` from a random minibatch and one draw of the weights."""
        num_examples = len(self.x)
        scale = num_examples / min(batch_size, num_examples)

        def estimate(mean: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
            z = torch.randn(factor.shape[1], generator=generator, dtype=factor.dtype)
            batch = torch.randperm(num_examples, generator=generator)[:batch_size]
            x = self.x[batch]
            step = scale * (x.T @ (x @ (mean + factor @ z) - self.y[batch]))
            return step, torch.outer(step, z)

        return estimate

    def stable_lr(self) -> float:
        """1 / lambda_max(XᵀX), half of what gradient descent can bear."""
        return torch.linalg.matrix_norm(self.x, 2).item() ** -2


@final
@dataclass(frozen=True, eq=False)
class Classification:
    """Exponential loss on separable binary data.

    Attributes:
        x: X, [N, P].
        labels: +1 or -1, [N].
    """

    x: Tensor
    labels: Tensor

    def log_expected_loss(self, q: Posterior) -> Tensor:
        """log of the sum of exp(-y xᵀmu + 1/2 |Sᵀx|²), the expected loss without sampling."""
        return torch.logsumexp(self._exponents(q.mean, q.factor), 0)

    def gradient(self, mean: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of the *log* of the expected loss: a step of c on it is one of c / loss on the loss itself.

        The loss shrinks like 1/t; such steps keep its decrease constant, and no exponential underflows.
        """
        share = self._exponents(mean, factor).softmax(0)
        return -(self.x.T @ (share * self.labels)), self.x.T @ (share.unsqueeze(1) * (self.x @ factor))

    def max_margin_direction(self) -> Tensor:
        """Unit vector of the hard-margin support vector machine without offset, [P]; exact, by its active set.

        Gradient descent's mean over log t converges to a multiple of it, plus the prior's part in the null space.

        Raises:
            ValueError: the data are not separable.
        """
        signed = self.x * self.labels.unsqueeze(1)
        weights = _nonnegative_dual(signed @ signed.T)
        direction = signed.T @ weights
        if (signed @ direction).min() <= 0:
            raise ValueError("no hyperplane through the origin separates the two classes")
        return direction / direction.norm()

    def null_projection(self, vectors: Tensor) -> Tensor:
        """Part of ``vectors`` [P, ...] that no example sees: training leaves it as it was."""
        return vectors - torch.linalg.pinv(self.x) @ (self.x @ vectors)

    def _exponents(self, mean: Tensor, factor: Tensor) -> Tensor:
        return -self.labels * (self.x @ mean) + 0.5 * (self.x @ factor).square().sum(1)


def descend(gradient: Gradient, start: Posterior, optimizer: MakeOptimizer, steps: int) -> Posterior:
    """Run a torch optimizer on mean and factor from ``start``.

    Args:
        gradient: (mean, factor) -> their gradients.
        start: left as it is.
        optimizer: makes the optimizer from [mean, factor].
        steps: number of steps.
    """
    mean, factor = start.mean.clone(), start.factor.clone()
    run = optimizer([mean, factor])
    for _ in range(steps):
        mean.grad, factor.grad = gradient(mean, factor)
        run.step()
    return Posterior(mean, factor)


def wasserstein2(q: Posterior, prior: Posterior) -> Tensor:
    """Squared 2-Wasserstein distance: |mu-mu0|² + |S|_F² + |S0|_F² - 2 |Sᵀ S0|_* (nuclear norm)."""
    return gaussian_wasserstein2(Gaussian(q.mean, rows=q.factor.T), Gaussian(prior.mean, rows=prior.factor.T))


def _nonnegative_dual(gram: Tensor) -> Tensor:
    """argmax of sum(a) - 1/2 aᵀ gram a over a >= 0, by Lawson and Hanson's active set."""
    size = len(gram)
    weights, active = gram.new_zeros(size), torch.zeros(size, dtype=torch.bool)
    for _ in range(10 * size):
        slope = 1 - gram @ weights
        slope[active] = -1
        if slope.max() <= 1e-12:
            break
        active[slope.argmax()] = True
        while True:
            target = gram.new_zeros(size)
            target[active] = torch.linalg.lstsq(gram[active][:, active], gram.new_ones(int(active.sum()), 1)).solution[
                :, 0
            ]
            blocked = active & (target <= 0)
            if not blocked.any():
                weights = target
                break
            reach = (weights[blocked] / (weights[blocked] - target[blocked])).min()
            weights = weights + reach * (target - weights)
            active &= weights > 1e-14
    return weights
