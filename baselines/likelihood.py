"""What a network's outputs mean: the loss to train them with, and what of them is stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["categorical", "gaussian"]
LOG_VARIANCE = (-12.0, 12.0)
"""Bounds of a predicted log-variance: beyond them one example would outweigh all others."""


class Likelihood(Protocol):
    """How likely a label is, given the outputs of a network."""

    @property
    def kind(self) -> Kind:
        """Which of the two it is."""
        ...

    @property
    def outputs(self) -> int:
        """Outputs that a network needs."""
        ...

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Mean negative log-likelihood per example, nats: [batch, outputs], [batch] -> scalar."""
        ...

    def fisher(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Fisher information of the outputs, diag(a) - b bᵀ for each example: a and b, [batch, outputs] each.

        It is the expected Hessian of the loss: the curvature of a generalized Gauss-Newton matrix.
        """
        ...

    def reduce(self, outputs: Tensor) -> dict[str, Tensor]:
        """From [members, batch, outputs] to what is stored of each example, [batch] or [batch, classes] each.

        The mixture of the members is what is predicted: probabilities are averaged, never outputs.
        """
        ...


@dataclass(frozen=True)
class Categorical:
    """One of ``outputs`` classes; outputs are logits, labels int64."""

    outputs: int
    kind: Literal["categorical"] = "categorical"

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy, nats."""
        from torch.nn import functional as F

        return F.cross_entropy(outputs, y)

    def fisher(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """diag(p) - p pᵀ for class probabilities p."""
        p = outputs.softmax(-1)
        return p, p

    def reduce(self, outputs: Tensor) -> dict[str, Tensor]:
        """``log_probs`` [batch, classes], ``expected_entropy`` and ``energy`` [batch], in float32.

        Probabilities are averaged in log space. Their logarithm is rounded to what float16 holds, which halves what is
        stored. The expected entropy takes over what that does to the entropy, so that their difference, the mutual
        information, stays what it was.
        """
        logits = outputs.float()
        log_p = logits.log_softmax(-1)
        log_mean = log_p.logsumexp(0) - math.log(len(logits))
        rounded = _rounded(log_mean)
        information = (_entropy(log_mean) - _entropy(log_p).mean(0)).clamp(min=0)
        expected = _entropy(rounded) - information
        return {"log_probs": rounded, "expected_entropy": expected, "energy": -logits.logsumexp(-1).mean(0)}


@dataclass(frozen=True)
class Gaussian:
    """A real number; outputs are mean and log-variance in standardized units, y is standardized, float32.

    Attributes:
        target_mean, target_std: of the training targets, in their own unit: ``y = (target - mean) / std``.
    """

    target_mean: float = 0.0
    target_std: float = 1.0
    outputs: int = 2
    kind: Literal["gaussian"] = "gaussian"

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Mean negative log density of ``y``, nats, in standardized units; in float32 at least."""
        mean, log_variance = _moments(outputs if outputs.itemsize > 2 else outputs.float())
        return 0.5 * (log_variance + (y - mean) ** 2 * (-log_variance).exp() + math.log(2 * math.pi)).mean()

    def fisher(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """diag(1/variance, 1/2) of mean and log-variance, 0 for a log-variance beyond its bounds; b is zero."""
        import torch

        free = (outputs[..., 1] > LOG_VARIANCE[0]) & (outputs[..., 1] < LOG_VARIANCE[1])
        precision = (-_moments(outputs)[1]).exp()
        return torch.stack([precision, 0.5 * free], -1), torch.zeros_like(outputs)

    def reduce(self, outputs: Tensor) -> dict[str, Tensor]:
        """``mean``, ``variance`` and ``expected_variance`` [batch], float32, in the target's own unit.

        They are the moments of the members' mixture: variance = mean of the members' variances (the expected variance)
        + variance of the members' means.

        Source: Lakshminarayanan, Pritzel & Blundell, arXiv 1612.01474, section 2.4.
        """
        means, log_variances = _moments(outputs.double())
        expected = log_variances.exp().mean(0)
        total = expected + means.var(0, unbiased=False)
        scale = self.target_std**2
        found = {"mean": self.target_mean + self.target_std * means.mean(0)}
        found |= {"variance": scale * total, "expected_variance": scale * expected}
        return {name: values.float() for name, values in found.items()}


def _moments(outputs: Tensor) -> tuple[Tensor, Tensor]:
    return outputs[..., 0], outputs[..., 1].clamp(*LOG_VARIANCE)


def _rounded(log_p: Tensor) -> Tensor:
    """``log_p`` in numbers that float16 holds; no class is drawn level with the most probable one."""
    import torch

    lowest = torch.finfo(torch.float16).min
    half = torch.where(log_p.isinf(), log_p, log_p.clamp(min=lowest)).half().float()
    best, peak = log_p.max(-1, keepdim=True)
    top = half.gather(-1, peak)
    drawn_level = ((half == top) & (log_p < best)).any(-1, keepdim=True)
    above = (top * (1 - 2**-10)).half().float()
    return torch.where(drawn_level, half.scatter(-1, peak, above), half)


def _entropy(log_p: Tensor) -> Tensor:
    return -(log_p.exp() * log_p).nan_to_num(nan=0.0, neginf=0.0).sum(-1)
