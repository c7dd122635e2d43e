"""What happens while a method is fitted: steps, batches, what optimizers hold. The conformance checks look at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from baselines.protocol import BatchSource, Method, Predictor, Problem, recipe_changes


@dataclass
class Watch:
    """What was seen.

    Attributes:
        steps: of optimizers that hold parameters of a network; steps within a step are one.
        batches: training batches handed out in random order.
        allowed: steps of the method's own recipe and of the recipes of the fits that it asked for.
        groups: parameter id -> the parameter (held, so that no other gets its id), and how many groups hold it.
    """

    steps: int = 0
    batches: int = 0
    allowed: int = 0
    groups: dict[int, tuple[Tensor, int]] = field(default_factory=dict)
    _depth: int = 0

    def groups_of(self, parameter: Tensor) -> int:
        """How many groups of its optimizer held ``parameter``."""
        return self.groups.get(id(parameter), (parameter, 0))[1]

    def begin_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Before an optimizer's step."""
        held = [p for group in optimizer.param_groups for p in group["params"]]
        network = [p for p in held if isinstance(p, nn.Parameter)]
        self.steps += self._depth == 0 and bool(network)
        self._depth += 1
        if network and id(network[0]) not in self.groups:
            ids = [id(p) for p in network]
            self.groups |= {id(p): (p, ids.count(id(p))) for p in network}

    def end_step(self, *_: Any) -> None:
        """After an optimizer's step."""
        self._depth -= 1


@dataclass(frozen=True)
class Counted:
    """A batch source that counts what it hands out in random order."""

    source: BatchSource
    watch: Watch

    @property
    def num_examples(self) -> int:
        """As many as there are."""
        return self.source.num_examples

    def shuffled(self, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch, counted."""
        for batch in self.source.shuffled(batch_size, seed):
            self.watch.batches += 1
            yield batch

    def ordered(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every example once, not counted: nothing is trained in a fixed order."""
        return self.source.ordered(batch_size)


@contextmanager
def watched(problem: Problem, watch: Watch) -> Iterator[Problem]:
    """The problem with its training data counted, while every optimizer is looked at."""
    task = problem.declared[0] if problem.declared else problem.recipe
    size = problem.train.num_examples

    def fit(method: Method, asked: Problem) -> Predictor:
        recipe = task.changed(recipe_changes(method))
        watch.allowed += recipe.steps(min(size, asked.train.num_examples))
        return problem.fitter(method, asked)

    watch.allowed += problem.recipe.steps(size)
    hooks = (
        register_optimizer_step_pre_hook(watch.begin_step),
        register_optimizer_step_post_hook(watch.end_step),
    )
    try:
        yield replace(problem, train=Counted(problem.train, watch), fitter=fit)
    finally:
        for hook in hooks:
            hook.remove()
