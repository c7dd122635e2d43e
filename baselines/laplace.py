"""Laplace approximation around the MAP network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from baselines.all_weights import AllWeights
from baselines.last_layer import LastLayerPredictor
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
        prior_precision: ``marglik`` maximises the marginal likelihood on the training set; ``validation`` minimises the
            NLL of the validation set (last layer only); a number is used as it is.
        draws: members under ``nn`` or ``mc``.
    """

    subset: Literal["last_layer", "all"] = "last_layer"
    structure: Literal["diag", "kron", "full"] = "kron"
    predictive: Literal["glm", "nn"] = "glm"
    link: Literal["probit", "mc"] = "probit"
    prior_precision: Annotated[float, Gt(0)] | Literal["marglik", "validation"] = "marglik"
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
