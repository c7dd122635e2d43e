"""SGHMC: samples of the posterior from cycles that first find a mode and then move about in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from torch.optim import Optimizer

from baselines.langevin import Langevin, plain_rate
from baselines.protocol import Problem
from baselines.snapshots import Cycles, Snapshots
from baselines.train import Groups, train


@dataclass(frozen=True)
class SGHMC:
    """Cyclical SGHMC (Zhang et al. 2020, arXiv 1902.03932), algorithm 1 with the steps of Chen et al. 2014.

    ``temperature`` matters most, then ``cycles``. Cycles, exploration and samples are those of the authors' code on
    CIFAR, which has a friction of 0.9 and, in these units, a temperature of 1/50,000: all but no noise. Here friction
    is what the recipes' momentum of 0.9 loses, so that without noise the steps are the recipe's SGD.

    Attributes:
        cycles: cycles of the learning rate (M), equation 1.
        exploration: share of each cycle that adds no noise (beta).
        samples: taken in the rest of each cycle, the last at its end.
        friction: share of the velocity that is lost in a step; 1 is Langevin dynamics.
        temperature: of the posterior; 1 is Bayes'.
        lr: highest learning rate of the mean loss; ``recipe``: lr / (1 - momentum) of the recipe's SGD, times friction.
    """

    cycles: Annotated[int, Ge(1)] = 4
    exploration: Annotated[float, Ge(0), Lt(1)] = 0.9
    samples: Annotated[int, Ge(1)] = 3
    friction: Annotated[float, Gt(0), Le(1)] = 0.1
    temperature: Annotated[float, Ge(0)] = 1.0
    lr: Annotated[float, Gt(0)] | Literal["recipe"] = "recipe"

    recipe_changes = {"schedule": "constant"}

    def predictor(self, problem: Problem) -> Snapshots:
        """An untrained network and its first state, several times."""
        plain_rate(self.lr, problem.recipe)  # or else it is unsupported
        return Snapshots(problem.new_model().eval(), self.cycles * self.samples)

    def fit(self, problem: Problem) -> Snapshots:
        """Run the chain and keep its samples."""
        predictor, recipe = self.predictor(problem), problem.recipe
        size, lr = problem.train.num_examples, plain_rate(self.lr, recipe)
        lr = lr * self.friction if self.lr == "recipe" else lr
        cycles = Cycles.of(recipe, size, self.cycles)

        def optimizer(groups: Groups) -> Optimizer:
            made = cycles.anneal(Langevin(groups, lr, size, recipe.weight_decay, self.friction))
            made.register_step_pre_hook(set_temperature)
            return made

        def set_temperature(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            for group in optimizer.param_groups:
                group["temperature"] = self.temperature if group["place"] >= self.exploration else 0.0

        def after_step(done: int, total: int) -> None:
            for j in range(self.samples):
                part = self.exploration + (1 - self.exploration) * (j + 1) / self.samples
                for cycle in cycles.done(done, part):
                    predictor.take(cycle * self.samples + j)

        train(predictor.model, problem, optimizer=optimizer, after_step=after_step)
        return predictor
