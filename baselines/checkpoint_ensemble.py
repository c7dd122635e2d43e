"""Checkpoint (snapshot) ensemble: the network at the end of each of several cycles of one training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge
from torch.optim import Optimizer

from baselines.protocol import Problem
from baselines.snapshots import Cycles, Snapshots
from baselines.train import Groups, make_optimizer, train


@dataclass(frozen=True)
class CheckpointEnsemble:
    """Snapshot ensemble (Huang et al. 2017, arXiv 1704.00109): cosine cycles of the learning rate, equation 2.

    It takes the recipe's steps, optimizer, learning rate and warm-up; the cycles share out what warming up leaves, and
    running statistics are those of the snapshot's own time. ``members`` matters most: more are more diverse, and each
    has less time. Five are the authors' code's on CIFAR, and as many as the deep ensemble has; one is MAP.

    Attributes:
        members: cycles (M), and snapshots to predict with.
    """

    members: Annotated[int, Ge(1)] = 5

    map_equivalent = {"members": 1}

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """The cycles take the place of the recipe's schedule; a single one is that schedule."""
        return {"schedule": "constant"} if self.members > 1 else {}

    def predictor(self, problem: Problem) -> Snapshots:
        """An untrained network and its first state, several times."""
        return Snapshots(problem.new_model().eval(), self.members)

    def fit(self, problem: Problem) -> Snapshots:
        """Train in cycles and take a snapshot at the end of each."""
        predictor, recipe = self.predictor(problem), problem.recipe
        cycles = Cycles.of(recipe, problem.train.num_examples, self.members)

        def optimizer(groups: Groups) -> Optimizer:
            made = make_optimizer(recipe, groups)
            return cycles.anneal(made) if self.members > 1 else made

        def after_step(done: int, total: int) -> None:
            for cycle in cycles.done(done):
                predictor.take(cycle)

        train(predictor.model, problem, optimizer=optimizer, after_step=after_step)
        return predictor
