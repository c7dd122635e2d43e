"""Variational Bayesian last layers: a Gaussian head trained on a bound that needs no sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from baselines.gaussian_head import GaussianHeadNetwork
from baselines.protocol import Problem
from baselines.train import train


class VBLLPredictor(GaussianHeadNetwork):
    """A network with a Gaussian head and Gaussian noise of its own on each output: logits, or one mean."""

    def __init__(self, problem: Problem, method: VBLL) -> None:
        kind, seed = problem.likelihood.kind, problem.seeds.noise("draws")
        outputs, package = (problem.likelihood.outputs, 1.0) if kind == "categorical" else (1, 0.01)
        super().__init__(problem, outputs, method.structure, 0.1 * math.sqrt(2 * method.prior_scale))
        self.kind, self.method, self.seed = kind, method, seed
        self.wishart_scale = package if method.wishart_scale == "package" else method.wishart_scale
        self.log_noise = nn.Parameter(self.head.mean.new_full((outputs,), -1.0))

    def outputs(self, x: Tensor) -> Tensor:
        """Logits [draws, batch, outputs]; of a number [1, batch, 2], in closed form."""
        if self.kind == "gaussian":
            mean, variance = self.moments(x)
            return torch.stack([mean[:, 0], (variance + self.log_noise.mul(2).exp()).log()[:, 0]], 1)[None]
        generator = torch.Generator().manual_seed(self.seed + 1)
        noise = torch.randn(self.method.draws, 1, len(self.log_noise), generator=generator).to(self.log_noise)
        return self.drawn_outputs(x, self.method.draws, self.seed) + self.log_noise.exp() * noise

    def loss(self, x: Tensor, y: Tensor, weight: float) -> Tensor:
        """Negative bound per example: expected log likelihood, or less, and ``weight`` times KL and Wishart prior."""
        (mean, variance), noise = self.moments(x), self.log_noise.mul(2).exp()
        if self.kind == "categorical":  # Jensen: E log sum exp <= log sum E exp
            bound = mean.gather(1, y[:, None])[:, 0] - (mean + 0.5 * (variance + noise)).logsumexp(1)
        else:
            squares = ((y[:, None] - mean) ** 2 + variance) / noise
            bound = -0.5 * (squares + noise.log() + math.log(2 * math.pi))[:, 0]
        wishart = -0.5 * ((self.method.dof + len(noise) + 1) * noise.log() + self.wishart_scale / noise).sum()
        prior_variance = self.method.prior_scale * (2 if self.kind == "categorical" else 1) / self.head.inputs
        return weight * (self.head.kl(prior_variance) - wishart) - bound.mean()


@dataclass(frozen=True)
class VBLL:
    """VBLL (Harrison, Willes & Snoek 2024, arXiv 2404.11599): theorem 1 for numbers, theorem 2 for classes.

    A number has one noise for all inputs. What matters is ``prior_scale``: how wide the last layer may be. Defaults are
    those of the authors' package. The posterior's covariance is trained with natural steps.

    Attributes:
        structure: ``full``: one covariance for all weights of an output; ``diag``: independent weights.
        prior_scale: variance of the prior in units of 2 / inputs, of a number 1 / inputs.
        wishart_scale: scale of the noise covariance's Wishart prior; ``package``: 1 for classes, 0.01 for a number.
        dof: its degrees of freedom.
        draws: draws to predict classes with, which cost next to nothing; of a number the prediction is exact.
    """

    structure: Literal["diag", "full"] = "full"
    prior_scale: Annotated[float, Gt(0)] = 1.0
    wishart_scale: Annotated[float, Ge(0)] | Literal["package"] = "package"
    dof: Annotated[float, Gt(0)] = 1.0
    draws: Annotated[int, Ge(1)] = 20

    def predictor(self, problem: Problem) -> VBLLPredictor:
        """An untrained network with a narrow posterior."""
        return VBLLPredictor(problem, self)

    def fit(self, problem: Problem) -> VBLLPredictor:
        """Train trunk, posterior and noise on the bound by the recipe."""
        predictor, weight = self.predictor(problem), 1 / problem.train.num_examples
        train(predictor, problem, loss=lambda net, x, y: predictor.loss(x, y, weight), groups=predictor.groups(problem))
        return predictor
