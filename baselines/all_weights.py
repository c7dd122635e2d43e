"""A Gaussian over all weights of a network, by laplace-torch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from baselines.last_layer import LARGEST_FULL, Choices, closed_form
from baselines.likelihood import LOG_VARIANCE
from baselines.protocol import BatchSource, Problem, Unsupported
from baselines.train import Diverged

JACOBIAN_NUMBERS = 2**29
"""Numbers of one example's Jacobian, at most: 2 GiB of float32."""
AT_ONCE = 2
"""Examples whose Jacobians are taken together: each of their outputs is led back through all of them, so that the cost
of an example grows with their number; one alone has the overhead for itself."""


class UnitNoise(nn.Module):
    """Mean and log-variance, rescaled so that their Fisher information is the identity: squared error's GGN is ours.

    The scale is that of the present outputs and carries no gradient: J diag(1/variance, 1/2) Jᵀ, exactly.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """[batch, 2]: mean / std and log-variance / sqrt(2)."""
        mean, log_variance = self.model(x).unbind(-1)
        free = log_variance.clamp(*LOG_VARIANCE)
        return torch.stack([mean * (-free.detach() / 2).exp(), free / math.sqrt(2)], -1)


class AllWeights(nn.Module):
    """The posterior's predictive: one member (probit link) or one per fixed draw."""

    def __init__(self, method: Choices, problem: Problem) -> None:
        super().__init__()
        # laplace-torch takes views of gradients
        self.model = problem.new_model().to(memory_format=torch.contiguous_format).eval()
        self.method, self.likelihood, self.seed = method, problem.likelihood, problem.seeds.noise("draws")
        self.posterior: Any = None
        size = sum(p.numel() for p in self.model.parameters())
        if method.structure == "full" and size > LARGEST_FULL:
            raise Unsupported(f"a full posterior of {size} weights has {size}² numbers: use structure=kron or diag")
        if method.prior_precision == "validation":
            raise Unsupported("prior_precision=validation is for the last layer: use subset=last_layer or marglik")
        if method.predictive == "glm" and size * self.likelihood.outputs > JACOBIAN_NUMBERS:
            numbers = f"{size} x {self.likelihood.outputs}"
            raise Unsupported(f"one example's Jacobian has {numbers} numbers: use subset=last_layer or predictive=nn")
        self._drawn: list[dict[str, Tensor]] | None = None

    def unfitted(self) -> Any:
        """A posterior around the present weights, with no curvature yet."""
        with warnings.catch_warnings():  # its own imports warn
            warnings.simplefilter("ignore")
            import laplace
        gaussian = self.likelihood.kind == "gaussian"
        model, kind = (UnitNoise(self.model), "regression") if gaussian else (self.model, "classification")
        return laplace.Laplace(model, kind, "all", self.method.structure)

    def find_posterior(self, problem: Problem) -> None:
        """Sum the curvature up over the training examples, never augmented, and choose the prior precision."""
        structure, precision = self.method.structure, self.method.prior_precision
        posterior = self.unfitted()
        gaussian = self.likelihood.kind == "gaussian"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # laplace-torch's own uses of deprecated functions
            try:
                posterior.fit(_Loader(problem.train, problem.recipe.batch_size, gaussian))
            except NotImplementedError as error:
                raise Unsupported(f"{structure} curvature of these layers: {error}") from error
            except SystemExit:  # what it does where a curvature is not finite
                raise Diverged("the curvature of the network is not finite") from None
            if not torch.as_tensor(posterior.loss).isfinite():
                raise Diverged("the network's outputs of the training examples are not finite numbers")
            if precision == "marglik":
                posterior.optimize_prior_precision(method="marglik")
            else:
                posterior.prior_precision = float(precision)
        self.posterior, self._drawn = posterior, None

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [1, batch, outputs] with the probit link, else [draws, batch, outputs]."""
        if self.method.predictive == "nn":
            return torch.stack([functional_call(self.model, weights, (x,)) for weights in self._weights()])
        return torch.cat([self._linearized(part) for part in x.split(AT_ONCE)], 1)

    def _linearized(self, x: Tensor) -> Tensor:
        weights = {name: p.detach() for name, p in self.model.named_parameters()}

        def outputs(weights: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            out = functional_call(self.model, weights, (x.clone(),))
            return out, out

        with torch.enable_grad(), torch.inference_mode(False):
            by_name, mean = cast(Any, torch.func.jacrev(outputs, has_aux=True)(weights))
        jacobian = torch.cat([by_name[name].flatten(2) for name in weights], -1)
        covariance, mean = self._covariance(jacobian.detach()), mean.detach()
        draws = self.method.num_draws
        if draws is None:
            return closed_form(self.likelihood, mean, covariance.diagonal(dim1=-2, dim2=-1)).unsqueeze(0)
        values, vectors = torch.linalg.eigh(covariance)  # a Cholesky factor would need jitter
        factor = vectors * values.clamp(min=0).sqrt().unsqueeze(-2)
        return mean + torch.einsum("bij,mj->mbi", factor, self._noise(draws, mean.shape[-1]))

    def _covariance(self, jacobian: Tensor) -> Tensor:
        """Of the outputs, [batch, outputs, outputs]; zero before there is a posterior."""
        if self.posterior is None:
            return jacobian.new_zeros(*jacobian.shape[:2], jacobian.shape[1])
        return self.posterior.functional_variance(jacobian).detach()

    def _weights(self) -> list[dict[str, Tensor]]:
        """Weight draws by parameter, made at the first prediction and kept."""
        if self._drawn is None:
            shapes = {name: p.shape for name, p in self.model.named_parameters()}
            sizes = [shape.numel() for shape in shapes.values()]
            with torch.inference_mode(False), torch.no_grad():
                vectors = self.posterior.mean + self._deviations(self._noise(self.method.draws, sum(sizes)))
            rows = [vector.split(sizes) for vector in vectors]
            self._drawn = [
                {name: part.view(shape) for (name, shape), part in zip(shapes.items(), row, strict=True)}
                for row in rows
            ]
        return self._drawn

    def _deviations(self, noise: Tensor) -> Tensor:
        """Draws about the mean, [draws, weights], from standard normal numbers of that shape."""
        posterior = self.posterior
        if self.method.structure == "kron":
            return posterior.posterior_precision.bmm(noise, exponent=-0.5).reshape(noise.shape)
        scale = posterior.posterior_scale
        return noise * scale if self.method.structure == "diag" else noise @ scale.T

    def _noise(self, *shape: int) -> Tensor:
        """Standard normal numbers, the same on every device."""
        generator, like = torch.Generator().manual_seed(self.seed), next(self.model.parameters())
        return torch.randn(*shape, generator=generator).to(like)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The network, and the posterior that laplace-torch keeps outside of it."""
        state = dict(super().state_dict(*args, **kwargs))
        if self.posterior is not None:
            posterior = self.posterior.state_dict()
            state["posterior.mean"] = posterior["mean"].detach()
            state["posterior.prior_precision"] = self.posterior.prior_precision.detach()
            factors = posterior["H"] if self.method.structure == "kron" else [[posterior["H"]]]
            for i, group in enumerate(factors):
                state |= {f"posterior.H.{i}.{j}": factor.detach() for j, factor in enumerate(group)}
        return state

    def load_state_dict(self, state_dict: Mapping[str, Tensor], *args: Any, **kwargs: Any) -> None:  # pyright: ignore
        """Take over a state, with a posterior if it has one."""
        weights = {name: value for name, value in state_dict.items() if not name.startswith("posterior.")}
        super().load_state_dict(weights, *args, **kwargs)
        self.posterior, self._drawn = None, None
        if len(weights) == len(state_dict):
            return
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
                "n_outputs": self.likelihood.outputs,
                "cls_name": type(posterior).__name__,
                **{key: getattr(posterior, key) for key in ("prior_mean", "sigma_noise", "likelihood", "temperature")},
                **{"enable_backprop": posterior.enable_backprop, "loss": 0.0, "n_data": 0},
            }
        )
        self.posterior = posterior


@dataclass(frozen=True)
class _Dataset:
    size: int

    def __len__(self) -> int:
        return self.size


class _Loader:
    """A batch source as the data loader that laplace-torch expects; for `UnitNoise`, labels of its shape."""

    def __init__(self, source: BatchSource, batch_size: int, unit_noise: bool) -> None:
        self.source, self.batch_size, self.unit_noise = source, batch_size, unit_noise
        self.dataset = _Dataset(source.num_examples)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in self.source.ordered(self.batch_size):
            yield x, y.new_zeros(len(y), 2) if self.unit_noise else y  # the GGN does not depend on the labels

    def __len__(self) -> int:
        return math.ceil(self.source.num_examples / self.batch_size)


def _indices(name: str) -> tuple[int, int]:
    """("posterior.H.2.1") -> (2, 1)."""
    group, position = name.split(".")[-2:]
    return int(group), int(position)
