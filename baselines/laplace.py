"""Laplace approximation around the MAP network, by laplace-torch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters

from baselines.map import MAP
from baselines.protocol import BatchSource, Problem, Unsupported
from baselines.seeds import derive_seed

with warnings.catch_warnings():  # its own imports warn
    warnings.simplefilter("ignore")
    import laplace as laplace_torch


JACOBIANS = 50
"""Images at a time: each has a Jacobian of classes x weights."""


@dataclass(frozen=True)
class Laplace:
    """Laplace approximation (Daxberger et al. 2021, arXiv 2106.14806) on the MAP network of the same seed.

    The five choices that decide its result are fields.

    Attributes:
        subset: weights that get a posterior.
        structure: structure of the Hessian's (generalized Gauss-Newton) approximation.
        predictive: ``glm`` linearizes the network; ``nn`` draws weights.
        link: how Gaussian logits become probabilities under ``glm``: ``probit`` (one member) or ``mc`` (draws).
        prior_precision: ``marglik`` maximises the marginal likelihood on the training set; a number is used as it is.
        draws: members under ``nn`` or ``mc``.
    """

    subset: Literal["last_layer", "all"] = "last_layer"
    structure: Literal["diag", "kron", "full"] = "kron"
    predictive: Literal["glm", "nn"] = "glm"
    link: Literal["probit", "mc"] = "probit"
    prior_precision: float | Literal["marglik"] = "marglik"
    draws: int = 32

    map_equivalent = {"prior_precision": 1e12}

    def predictor(self, problem: Problem) -> LaplacePredictor:
        """An untrained network with no posterior yet."""
        model = problem.new_model().to(memory_format=torch.contiguous_format)  # laplace-torch takes views of gradients
        return LaplacePredictor(model, self, derive_seed(problem.seeds.noise, "draws"))

    def fit(self, problem: Problem) -> LaplacePredictor:
        """Take the MAP fit over and put a Gaussian around it."""
        predictor = self.predictor(problem)
        fitted = {name.removeprefix("model."): value for name, value in problem.fit(MAP()).state_dict().items()}
        predictor.model.load_state_dict(fitted)
        posterior = predictor.unfitted()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # laplace-torch's own uses of deprecated functions
            try:
                posterior.fit(_Loader(problem.train, problem.recipe.batch_size))
            except NotImplementedError as error:
                raise Unsupported(f"{self.structure} curvature of these layers: {error}") from error
            if self.prior_precision == "marglik":
                posterior.optimize_prior_precision(method="marglik")
            else:
                posterior.prior_precision = float(self.prior_precision)
        predictor.posterior = posterior
        return predictor


class LaplacePredictor(nn.Module):
    """The posterior's predictive: one member (probit link) or one per fixed draw."""

    def __init__(self, model: nn.Module, method: Laplace, seed: int) -> None:
        super().__init__()
        self.model, self.method, self.seed = model, method, seed
        self.posterior: Any = None

    def unfitted(self) -> Any:
        """A posterior around the present weights, with no curvature yet."""
        layer = {"last_layer_name": _last_linear(self.model)} if self.method.subset == "last_layer" else {}
        return laplace_torch.Laplace(self.model, "classification", self.method.subset, self.method.structure, **layer)

    def logits(self, x: Tensor) -> Tensor:
        """Logits [1, batch, classes] with the probit link, else [draws, batch, classes]."""
        if self.method.predictive == "nn":
            return self._weight_draws(x)
        return torch.cat([self._linearized(part) for part in x.split(JACOBIANS)], 1)

    def _linearized(self, x: Tensor) -> Tensor:
        backend = self.posterior.backend
        with torch.enable_grad(), torch.inference_mode(False):
            last = self.method.subset == "last_layer"
            jacobians, mean = (backend.last_layer_jacobians if last else backend.jacobians)(x.clone())
        covariance, mean = self.posterior.functional_variance(jacobians).detach(), mean.detach()
        if self.method.link == "probit":
            variance = covariance.diagonal(dim1=-2, dim2=-1)
            return (mean / (1 + math.pi / 8 * variance).sqrt()).unsqueeze(0)
        values, vectors = torch.linalg.eigh(covariance)  # a Cholesky factor would need jitter
        factor = vectors * values.clamp(min=0).sqrt().unsqueeze(-2)
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(self.method.draws, mean.shape[-1], generator=generator).to(x.device)
        return mean + torch.einsum("bij,mj->mbi", factor, noise)

    def _weight_draws(self, x: Tensor) -> Tensor:
        posterior, generator = self.posterior, torch.Generator().manual_seed(self.seed)
        network = posterior.model
        parameters = list((network.last_layer if self.method.subset == "last_layer" else network).parameters())
        out = []
        for weights in posterior.sample(self.method.draws, generator):
            vector_to_parameters(weights, parameters)
            out.append(network(x).detach())
        vector_to_parameters(posterior.mean, parameters)
        return torch.stack(out)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The network, and the posterior that laplace-torch keeps outside of it."""
        state = dict(super().state_dict(*args, **kwargs))
        if self.posterior is not None:
            posterior = self.posterior.state_dict()
            state["posterior.mean"] = posterior["mean"].detach()
            state["posterior.prior_precision"] = self.posterior.prior_precision.detach()
            state["posterior.outputs"] = torch.tensor(posterior["n_outputs"])
            factors = posterior["H"] if self.method.structure == "kron" else [[posterior["H"]]]
            for i, group in enumerate(factors):
                state |= {f"posterior.H.{i}.{j}": factor.detach() for j, factor in enumerate(group)}
        return state

    def load_state_dict(self, state_dict: Mapping[str, Tensor], *args: Any, **kwargs: Any) -> None:  # pyright: ignore
        """Take over a state with a posterior."""
        weights = {name: value for name, value in state_dict.items() if not name.startswith("posterior.")}
        super().load_state_dict(weights, *args, **kwargs)
        factors: list[list[Tensor]] = []
        for name in sorted((n for n in state_dict if n.startswith("posterior.H.")), key=_indices):
            group, _ = _indices(name)
            factors += [[]] * (group + 1 - len(factors))
            factors[group] = [*factors[group], state_dict[name]]
        posterior = self.unfitted()
        posterior.load_state_dict(
            {
                "mean": state_dict["posterior.mean"],
                "H": factors if self.method.structure == "kron" else factors[0][0],
                "prior_precision": state_dict["posterior.prior_precision"],
                "n_outputs": int(state_dict["posterior.outputs"]),
                "cls_name": type(posterior).__name__,
                **{key: getattr(posterior, key) for key in ("prior_mean", "sigma_noise", "likelihood", "temperature")},
                **{"enable_backprop": posterior.enable_backprop, "loss": 0.0, "n_data": 0, "data": None},
                "_last_layer_name": getattr(posterior, "_last_layer_name", None),
            }
        )
        self.posterior = posterior


@dataclass(frozen=True)
class _Dataset:
    size: int

    def __len__(self) -> int:
        return self.size


class _Loader:
    """A batch source as the data loader that laplace-torch expects."""

    def __init__(self, source: BatchSource, batch_size: int) -> None:
        self.source, self.batch_size, self.dataset = source, batch_size, _Dataset(source.num_examples)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.source.ordered(self.batch_size)

    def __len__(self) -> int:
        return math.ceil(self.source.num_examples / self.batch_size)


def _last_linear(model: nn.Module) -> str:
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not names:
        raise Unsupported(f"{type(model).__name__} has no linear layer for a last-layer posterior: use subset=all")
    return names[-1]


def _indices(name: str) -> tuple[int, int]:
    """("posterior.H.2.1") -> (2, 1)."""
    group, position = name.split(".")[-2:]
    return int(group), int(position)
