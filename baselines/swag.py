"""SWAG: a Gaussian around the average of the weights along a path of constant learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt

from baselines.map import MAP
from baselines.protocol import Problem
from baselines.train import train
from baselines.weight_path import WeightPath


@dataclass(frozen=True)
class SWAG:
    """SWAG (Maddox et al. 2019, arXiv 1902.02476), algorithm 1 and equation 1, going on from MAP.

    ``rate`` matters most: it is how far the path strays. It is that of the authors' code for VGG-16 and for LeNet-5,
    0.01 after 0.05; rank and draws are that code's too. Length and points are those of the paper's networks that were
    trained already (ImageNet): 10 epochs, 4 points each.

    Attributes:
        epochs: that it trains on after MAP.
        rate: constant learning rate, in units of the recipe's.
        per_epoch: points of the path that are taken in each epoch.
        rank: last deviations from the mean that span the low-rank part (K); 0 leaves a diagonal Gaussian.
        draws: weight draws to predict with (S), each with batch statistics of its own where there is batch
            normalization: a pass over the training data for each.
    """

    epochs: Annotated[int, Ge(1)] = 10
    rate: Annotated[float, Gt(0)] = 0.2
    per_epoch: Annotated[int, Ge(1)] = 4
    rank: Annotated[int, Ge(0)] = 20
    draws: Annotated[int, Ge(1)] = 30

    uses = ((MAP(), 0),)

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """The recipe of its own training; the MAP fit that it starts from is trained by the task's."""
        return {"epochs": self.epochs, "schedule": "constant", "warmup": 0.0}

    def predictor(self, problem: Problem) -> WeightPath:
        """An untrained network and a path of one point."""
        return WeightPath(problem.new_model().eval(), self.draws, self.rank, problem.seeds.noise("draws"))

    def fit(self, problem: Problem) -> WeightPath:
        """Train on from MAP at a constant rate, take the moments of the path, and estimate batch statistics."""
        path, recipe = self.predictor(problem), problem.recipe
        path.model.load_state_dict({k.removeprefix("model."): v for k, v in problem.fit(MAP()).state_dict().items()})
        path.begin()
        every = max(1, recipe.steps_per_epoch(problem.train.num_examples) // self.per_epoch)

        def after_step(done: int, total: int) -> None:
            if done % every == 0:
                path.collect()

        groups = [{"params": list(path.model.parameters()), "lr": self.rate * recipe.lr}]
        train(path.model, problem, groups=groups, after_step=after_step)
        path.estimate_statistics(lambda: (x for x, _ in problem.train.ordered(recipe.batch_size)))
        return path
