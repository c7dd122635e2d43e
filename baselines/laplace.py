"""Laplace approximation around the MAP network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, cast

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from baselines.all_weights import AllWeights
from baselines.heads import features_and_outputs, find_head
from baselines.last_layer import STRUCTURES, closed_form
from baselines.map import MAP
from baselines.protocol import Problem


@dataclass(frozen=True)
class Laplace:
    """Laplace approximation (Daxberger et al. 2021, arXiv 2106.14806) on the MAP network of the same seed.

    The five choices that decide its result are fields.

    Attributes:
        subset: weights that get a posterior.
        structure: structure of the Hessian's (generalized Gauss-Newton) approximation.
        predictive: ``glm`` linearizes the network; ``nn`` draws weights. In the last layer both are the same.
        link: how Gaussian outputs become one prediction under ``glm``: ``probit`` (one member; of a real number, the
            function's variance is added to the noise's) or ``mc`` (draws).
        prior_precision: ``marglik`` maximises the marginal likelihood on the training set; a number is used as it is.
        draws: members under ``nn`` or ``mc``.
    """

    subset: Literal["last_layer", "all"] = "last_layer"
    structure: Literal["diag", "kron", "full"] = "kron"
    predictive: Literal["glm", "nn"] = "glm"
    link: Literal["probit", "mc"] = "probit"
    prior_precision: Annotated[float, Gt(0)] | Literal["marglik"] = "marglik"
    draws: Annotated[int, Ge(1)] = 32

    map_equivalent = {"prior_precision": 1e12}
    uses = ((MAP(), 0),)

    def predictor(self, problem: Problem) -> LastLayerPredictor | AllWeights:
        """An untrained network with a posterior that has seen no data."""
        kind = LastLayerPredictor if self.subset == "last_layer" else AllWeights
        return kind(self, problem)

    def fit(self, problem: Problem) -> LastLayerPredictor | AllWeights:
        """Take the MAP fit over and put a Gaussian around it."""
        predictor = self.predictor(problem)
        fitted = {name.removeprefix("model."): value for name, value in problem.fit(MAP()).state_dict().items()}
        predictor.model.load_state_dict(fitted)
        predictor.find_posterior(problem)
        return predictor

    @property
    def num_draws(self) -> int | None:
        """Draws to predict with; None where the prediction has a closed form."""
        return None if self.predictive == "glm" and self.link == "probit" else self.draws


class LastLayerPredictor(nn.Module):
    """A network with a Gaussian over the weights of its head; see `baselines.last_layer`."""

    def __init__(self, method: Laplace, problem: Problem) -> None:
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
        else:
            posterior.prior_precision.fill_(cast(float, self.method.prior_precision))

    def _deviations(self, draws: int) -> Tensor:
        """Deviations of the head's weights, drawn at the first prediction and kept: the same for every batch."""
        if self._drawn is None:
            generator, like = torch.Generator().manual_seed(self.seed), self.posterior.values
            noise = torch.randn(draws, *self.posterior.size, generator=generator)  # the same numbers on every device
            with torch.inference_mode(False), torch.no_grad():
                self._drawn = torch.cat([self.posterior.scaled(z.to(like)) for z in noise.split(1)])
        return self._drawn
