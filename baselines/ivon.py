"""IVON: variational inference whose optimizer is a natural-gradient step at the cost of Adam's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from baselines.langevin import plain_rate
from baselines.natural_gradient import GaussianWeights, VariationalOnlineNewton
from baselines.protocol import Problem
from baselines.train import Groups, train


@dataclass(frozen=True)
class IVON:
    """IVON (Shen et al. 2024, arXiv 2402.17641), algorithm 1, with the number of examples as effective sample size.

    ``hess_init`` matters most: with few steps the estimate of the Hessian stays near it, so it sets the noise of
    training and prediction; a smaller one is more noise. Defaults are the authors' package's, the rate the recipe's.

    Attributes:
        hess_init: first estimate of the Hessian (h0); the std of each weight starts at (N (h0 + weight decay))^-1/2.
        beta1: decay of the running mean of gradients.
        beta2: decay of the running mean of Hessians.
        lr: learning rate of the mean loss; ``recipe``: lr / (1 - momentum) of the recipe's SGD.
        draws: weight draws to predict with, as many as other methods that draw weights have.
    """

    hess_init: Annotated[float, Gt(0)] = 1.0
    beta1: Annotated[float, Ge(0), Lt(1)] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1)] = 0.99999
    lr: Annotated[float, Gt(0)] | Literal["recipe"] = "recipe"
    draws: Annotated[int, Ge(1)] = 32

    def predictor(self, problem: Problem) -> GaussianWeights:
        """An untrained network with the Gaussian that training starts from."""
        plain_rate(self.lr, problem.recipe)  # or else it is unsupported
        precision = problem.train.num_examples * (self.hess_init + problem.recipe.weight_decay)
        return GaussianWeights(problem.new_model().eval(), self.draws, problem.seeds.noise("predict"), precision)

    def fit(self, problem: Problem) -> GaussianWeights:
        """Train the Gaussian by the recipe's steps."""
        predictor, recipe = self.predictor(problem), problem.recipe
        lr, parameters, used = plain_rate(self.lr, recipe), list(predictor.model.parameters()), []

        def optimizer(groups: Groups) -> VariationalOnlineNewton:
            size, decay = problem.train.num_examples, recipe.weight_decay
            used.append(VariationalOnlineNewton(groups, lr, size, decay, self.hess_init, self.beta1, self.beta2))
            return used[0]

        train(predictor.model, problem, optimizer=optimizer)
        predictor.set_precision(used[0].precision(p) for p in parameters)
        return predictor
