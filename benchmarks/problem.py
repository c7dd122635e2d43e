"""From a task to what a method is given: its problem, in a process that holds no evaluation data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import ivi
from baselines.protocol import BatchSource, Problem
from baselines.seeds import Seeds, derive_seed
from benchmarks import models
from benchmarks.measure.jobs import Setting


@dataclass(frozen=True)
class Parts:
    """What a problem is made of.

    Attributes:
        train, validation: batches of them.
        example: [1, ...]: an input of zeros.
    """

    train: BatchSource
    validation: BatchSource
    example: Tensor


@dataclass(frozen=True)
class Absent:
    """The training examples where there are none: while predicting. Their number is known, they are not."""

    num_examples: int

    def shuffled(self, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Refused."""
        raise RuntimeError("no training examples can be had while predicting: keep what you need in the state_dict")

    def ordered(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Refused."""
        return self.shuffled(batch_size, 0)


def _quiet(done: int, total: int) -> None:
    """Report nothing."""


def make_problem(setting: Setting, parts: Parts, progress: Callable[[int, int], None] = _quiet) -> Problem:
    """The harness's own problem of a run; `Problem.fit` gives it to a method."""
    device, model = torch.device(setting.device), setting.task.model

    def make_model(seed: int) -> nn.Module:
        net = models.create(model, setting.likelihood.outputs, parts.example, seed)
        if setting.task.recipe.parametrization == "maximal_update":
            drawn = torch.Generator().manual_seed(derive_seed("maximal update", seed))
            ivi.initialize_(net, ivi.MaximalUpdate(), drawn, parts.example.cpu())
        net = net.to(device)
        # Channels last is what convolutions and pooling are fastest in.
        return net.to(memory_format=torch.channels_last) if parts.example.dim() == 4 else net

    return Problem(
        likelihood=setting.likelihood,
        example=parts.example,
        train=parts.train,
        validation=parts.validation,
        recipe=setting.task.recipe,
        device=device,
        seeds=Seeds.of(setting.task.name, setting.seed),
        make_model=make_model,
        progress=progress,
    )


def warm_up(problem: Problem) -> None:
    """One training step and one prediction, so that no method pays for the first touch of libraries and device."""
    model = problem.new_model()
    x = problem.example.expand(problem.recipe.batch_size, *problem.example.shape[1:]).contiguous()
    labels = torch.long if problem.likelihood.kind == "categorical" else torch.float32
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    model.train()
    problem.likelihood.loss(model(x), torch.zeros(len(x), dtype=labels, device=problem.device)).backward()
    optimizer.step()
    with torch.inference_mode():
        model.eval()(x)
