"""SGLD: samples of the posterior from one chain of noisy gradient steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from torch.optim import Optimizer

from baselines.langevin import Langevin, plain_rate
from baselines.protocol import Problem
from baselines.snapshots import Snapshots
from baselines.train import Groups, train


@dataclass(frozen=True)
class SGLD:
    """Stochastic gradient Langevin dynamics (Welling & Teh 2011), equation 4: noise from the first step on.

    ``temperature`` matters most, then ``final``. The paper's final is 0.01; with it the chain learns little in the 648
    steps of ``mnist5k-lenet5`` (validation accuracy 0.874, one seed; 0.957 with 0.1, two seeds): 0.1 was chosen.

    Attributes:
        burn_in: share of the steps before the first sample's.
        samples: taken at equal distances after it, the last at the end.
        decay: exponent of the falling step size, lr (1 + t / b)^-decay (gamma).
        final: step size of the last step, in units of the first: it decides b.
        temperature: of the posterior; 1 is Bayes'.
        lr: first learning rate of the mean loss; ``recipe``: lr / (1 - momentum) of the recipe's SGD.
    """

    burn_in: Annotated[float, Ge(0), Lt(1)] = 0.5
    samples: Annotated[int, Ge(1)] = 12
    decay: Annotated[float, Gt(0), Le(1)] = 0.55
    final: Annotated[float, Gt(0), Lt(1)] = 0.1
    temperature: Annotated[float, Ge(0)] = 1.0
    lr: Annotated[float, Gt(0)] | Literal["recipe"] = "recipe"

    recipe_changes = {"schedule": "constant"}

    def predictor(self, problem: Problem) -> Snapshots:
        """An untrained network and its first state, several times."""
        plain_rate(self.lr, problem.recipe)  # or else it is unsupported
        return Snapshots(problem.new_model().eval(), self.samples)

    def fit(self, problem: Problem) -> Snapshots:
        """Run the chain and keep its samples."""
        predictor, recipe = self.predictor(problem), problem.recipe
        size, lr = problem.train.num_examples, plain_rate(self.lr, recipe)
        total = recipe.steps(size)

        def optimizer(groups: Groups) -> Optimizer:
            made = Langevin(groups, lr, size, recipe.weight_decay, temperature=self.temperature)
            made.register_step_pre_hook(decayed)
            return made

        def decayed(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            for group in optimizer.param_groups:
                step = group["step"] = group.get("step", -1) + 1
                group["lr"] *= self.step_size(step / max(1, total - 1))

        def after_step(done: int, total: int) -> None:
            for index in range(self.samples):
                part = self.burn_in + (1 - self.burn_in) * (index + 1) / self.samples
                if done == math.ceil(min(part, 1.0) * total):
                    predictor.take(index)

        train(predictor.model, problem, optimizer=optimizer, after_step=after_step)
        return predictor

    def step_size(self, part: float) -> float:
        """Step size after ``part`` of all steps, in units of the first: from 1 to ``final``."""
        return (1 + part * (self.final ** (-1 / self.decay) - 1)) ** -self.decay
