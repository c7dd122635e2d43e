"""Gaussian-process regression by scikit-learn, as a row to read the others against."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor, nn

from baselines.protocol import Unsupported

if TYPE_CHECKING:
    from baselines.protocol import Problem


class Process(nn.Module):
    """The posterior of a process with a constant times a squared-exponential kernel, and white noise.

    Its buffers: ``x`` [rows, features], what it was fitted on; ``alpha`` [rows] and ``lower`` [rows, rows]: the inverse
    of the kernel's matrix times y, and that matrix's Cholesky factor; ``scales`` [features], ``size`` and ``noise``: of
    the kernel.
    """

    def __init__(self, rows: int, example: Tensor) -> None:
        super().__init__()
        like = {"dtype": torch.float64, "device": example.device}
        shapes = {"x": (rows, example.shape[1]), "alpha": (rows,), "lower": (rows, rows), "scales": example.shape[1:]}
        for name, shape in (shapes | {"size": (), "noise": ()}).items():
            self.register_buffer(name, torch.ones(shape, **like))

    def outputs(self, x: Tensor) -> Tensor:
        """Mean and log-variance of a new target, [1, batch, 2]."""
        own: dict[str, Tensor] = dict(self.named_buffers())
        distances = torch.cdist(x.double() / own["scales"], own["x"] / own["scales"], compute_mode=EXACT)
        kernel = own["size"] * (-0.5 * distances**2).exp()
        explained = torch.linalg.solve_triangular(own["lower"], kernel.T, upper=False).square().sum(0)
        variance = (own["size"] - explained).clamp(min=0) + own["noise"]
        return torch.stack([kernel @ own["alpha"], variance.log()], -1).float()[None]


EXACT = "donot_use_mm_for_euclid_dist"


@dataclass(frozen=True)
class GaussianProcess:
    """Gaussian-process regression (Rasmussen & Williams 2006, algorithm 2.1), one length scale a feature.

    Attributes:
        rows: training rows at most, drawn at random: time grows with their cube.
    """

    rows: Annotated[int, Ge(2)] = 1000

    def predictor(self, problem: Problem) -> Process:
        """A process that has seen nothing."""
        if problem.likelihood.kind != "gaussian" or problem.example.dim() != 2:
            raise Unsupported("gaussian_process predicts a real number from the rows of a table")
        return Process(min(self.rows, problem.train.num_examples), problem.example)

    def fit(self, problem: Problem) -> Process:
        """Choose the kernel's numbers by the marginal likelihood."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        predictor = self.predictor(problem)
        x, y = (torch.cat(parts).double().cpu() for parts in zip(*problem.train.ordered(1000), strict=True))
        chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(problem.seeds.noise("rows")))[
            : self.rows
        ]
        x, y = x[chosen], y[chosen]
        scale: Any = [3.0] * x.shape[1]  # one for each feature
        kernel = ConstantKernel(1.0, (1e-3, 1e3)) * RBF(scale, (1e-2, 1e4)) + WhiteKernel(0.5, (1e-4, 1e1))
        with warnings.catch_warnings():  # the scale of a feature that says nothing runs to its bound
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted: Any = GaussianProcessRegressor(kernel, random_state=0, alpha=1e-8).fit(x.numpy(), y.numpy())
        size, scales, noise = (
            part.numpy() for part in torch.tensor(fitted.kernel_.theta).exp().split([1, x.shape[1], 1])
        )
        numbers = {
            "x": x,
            "alpha": fitted.alpha_,
            "lower": fitted.L_,
            "scales": scales,
            "size": size[0],
            "noise": noise[0],
        }
        predictor.load_state_dict({name: torch.as_tensor(value) for name, value in numbers.items()})
        return predictor
