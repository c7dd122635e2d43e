"""Affine maps of logits, fitted by penalized maximum likelihood: the solver behind `leaderboard.recalibration`.

The logits of a class become ``x + F(theta)``, F linear and theta = 0 the map that changes nothing. The objective,
mean NLL + sum penalty * theta^2, is strictly convex, so there is one answer, whatever classes are missing or separated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

DECIMALS = 4
"""Kept of each parameter: the others are not the same on every processor, and change the NLL by less than 1e-6."""
_STEPS = 100  # of Newton's method, which needs about ten
_FEW = 512  # parameters, for which a matrix of second derivatives is faster than conjugate gradients
_CONVERGED = 1e-25  # of the decrement, about twice the distance to the lowest objective


class Family(Protocol):
    """A linear map of parameters to changes of logits, for given logits ``x`` [N, C].

    Attributes:
        penalty: one number for each parameter, above 0, in its shape.
    """

    @property
    def penalty(self) -> np.ndarray:
        """[...]: see above."""
        ...

    def change(self, x: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """[N, C]: what ``theta`` adds to the logits ``x``."""
        ...

    def adjoint(self, x: np.ndarray, r: np.ndarray) -> np.ndarray:
        """In the shape of theta: sum over n, c of ``r`` [N, C] times the derivative of `change` by theta."""
        ...

    def curvature(self, x: np.ndarray, probs: np.ndarray) -> np.ndarray:
        """[P, P], P parameters in one row: second derivative of the NLL, summed over n, where it predicts ``probs``."""
        ...


@dataclass(frozen=True)
class Diagonal:
    """A factor and an offset for each class: theta [2, C], change ``x * theta[0] + theta[1]``."""

    penalty: np.ndarray

    def change(self, x: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """See `Family`."""
        return x * theta[0] + theta[1]

    def adjoint(self, x: np.ndarray, r: np.ndarray) -> np.ndarray:
        """See `Family`."""
        return np.stack([np.einsum("nc,nc->c", r, x), np.einsum("nc->c", r)])

    def curvature(self, x: np.ndarray, probs: np.ndarray) -> np.ndarray:
        """See `Family`."""
        features = np.stack([x, np.ones_like(x)], axis=1)
        weighted = features * probs[:, None]
        c, flat = x.shape[1], weighted.reshape(len(x), -1)
        own = np.einsum("nkc,nlc->klc", weighted, features)
        return np.einsum("klc,cd->kcld", own, np.eye(c)).reshape(2 * c, 2 * c) - flat.T @ flat


@dataclass(frozen=True)
class Full:
    """A matrix and an offset for each class: theta [C, C + 1], change ``x @ theta[:, :C].T + theta[:, C]``."""

    penalty: np.ndarray

    def change(self, x: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """See `Family`."""
        return x @ theta[:, :-1].T + theta[:, -1]

    def adjoint(self, x: np.ndarray, r: np.ndarray) -> np.ndarray:
        """See `Family`."""
        return np.concatenate([r.T @ x, np.einsum("nc->c", r)[:, None]], axis=1)

    def curvature(self, x: np.ndarray, probs: np.ndarray) -> np.ndarray:
        """See `Family`."""
        features = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        c, k = x.shape[1], features.shape[1]
        flat = (probs[:, :, None] * features[:, None, :]).reshape(len(x), -1)
        own = (flat.T @ features).reshape(c, k, k)
        return np.einsum("ckl,cd->ckdl", own, np.eye(c)).reshape(c * k, c * k) - flat.T @ flat


def fit(family: Family, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The theta of the lowest `objective`, rounded to `DECIMALS`, by Newton's method.

    Args:
        family: with the penalties.
        x: [N, C] float64, finite logits.
        labels: [N], integers.

    Source: Nocedal & Wright, "Numerical Optimization", 2006, algorithm 7.1; its steps are exact for few parameters
    """
    theta, last = np.zeros_like(family.penalty), np.inf
    for _ in range(_STEPS):
        value, gradient, probs = objective(family, x, labels, theta)
        step = _newton_step(family, x, gradient, probs)
        decrement = -float(np.sum(gradient * step))
        if decrement <= _CONVERGED or last <= decrement < 1e-14:
            break  # the second: only rounding is left
        last, length = decrement, 1.0
        while decrement > 1e-10 and length > 1e-6:
            if objective(family, x, labels, theta + length * step)[0] <= value - 1e-4 * length * decrement:
                break
            length /= 2.0
        theta = theta + length * step
    return np.round(theta, DECIMALS) + 0.0


def objective(
    family: Family, x: np.ndarray, labels: np.ndarray, theta: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Mean NLL + sum penalty * theta^2, its derivative by theta, and the probabilities [N, C]."""
    log_probs = normalized(x + family.change(x, theta))
    rows = np.arange(len(x))
    value = -float(np.mean(log_probs[rows, labels])) + float(np.sum(family.penalty * theta**2))
    probs = np.exp(log_probs)
    residual = probs.copy()
    residual[rows, labels] -= 1.0
    return value, family.adjoint(x, residual) / len(x) + 2.0 * family.penalty * theta, probs


def normalized(logits: np.ndarray) -> np.ndarray:
    """[N, C]: log of the softmax of each row of finite ``logits``."""
    logits = logits - np.max(logits, axis=1, keepdims=True)
    return logits - np.log(np.einsum("nc->n", np.exp(logits)))[:, None]


def _newton_step(family: Family, x: np.ndarray, gradient: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Minus the inverse of the second derivative times ``gradient``: exact for few parameters."""
    from scipy.linalg import solve
    from scipy.sparse.linalg import LinearOperator, cg

    shape, size, penalty = gradient.shape, gradient.size, 2.0 * family.penalty

    if size <= _FEW:
        hessian = family.curvature(x, probs) / len(x) + np.diag(penalty.ravel())
        return -solve(hessian, gradient.ravel(), assume_a="pos").reshape(shape)

    def times_hessian(flat: np.ndarray) -> np.ndarray:
        v = flat.reshape(shape)
        u = family.change(x, v)
        weighted = probs * (u - np.einsum("nc,nc->n", probs, u)[:, None])
        return (family.adjoint(x, weighted) / len(x) + penalty * v).ravel()

    diagonal = family.adjoint(x**2, probs * (1.0 - probs)) / len(x)
    scale = (np.abs(diagonal) + penalty).ravel()
    operator: Any = LinearOperator  # its stubs know no keywords
    hessian = operator((size, size), matvec=times_hessian, dtype=np.float64)
    inverse = operator((size, size), matvec=lambda flat: np.ravel(flat) / scale, dtype=np.float64)
    exactness = min(0.1, float(np.linalg.norm(gradient)) ** 0.5)
    step, _ = cg(hessian, -gradient.ravel(), rtol=exactness, maxiter=1000, M=inverse)
    return step.reshape(shape)
