"""Copies of a network's state taken while it trains, and cycles of the learning rate with a copy at their ends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from baselines.recipe import Recipe


class Snapshots(nn.Module):
    """A network, and so many copies of its state to predict with: parameters and running statistics alike.

    Copies that have not been taken are of the state that the network had first.
    """

    def __init__(self, model: nn.Module, count: int) -> None:
        super().__init__()
        self.model, self.count = model, count
        for i, (_, value) in enumerate(self._state()):
            self.register_buffer(f"snapshots_{i}", value.detach().expand(count, *value.shape).clone())

    @torch.no_grad()
    def take(self, index: int) -> None:
        """Copy the network's present state as number ``index``."""
        for i, (_, value) in enumerate(self._state()):
            self.get_buffer(f"snapshots_{i}")[index] = value

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [snapshots, batch, outputs]."""
        return torch.stack([functional_call(self.model, self.snapshot(index), (x,)) for index in range(self.count)])

    def snapshot(self, index: int) -> dict[str, Tensor]:
        """One copy, by the names that parameters and buffers have in the network."""
        return {name: self.get_buffer(f"snapshots_{i}")[index] for i, (name, _) in enumerate(self._state())}

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        """Parameters and stored buffers, each once, whatever names it has."""
        yield from self.model.named_parameters()
        stored = self.model.state_dict().keys()
        yield from ((name, value) for name, value in self.model.named_buffers() if name in stored)


@dataclass(frozen=True)
class Cycles:
    """Cycles of cosine decay, of as equal length as can be, over the steps that warming up leaves.

    Source: Huang et al. 2017, arXiv 1704.00109, equation 2; Zhang et al. 2020, arXiv 1902.03932, equation 1.

    Attributes:
        count: how many cycles.
        total: steps in all.
        warmup: steps that warm up before the first cycle.
    """

    count: int
    total: int
    warmup: int = 0

    @classmethod
    def of(cls, recipe: Recipe, num_examples: int, count: int) -> Cycles:
        """Cycles over the steps of a recipe."""
        total = recipe.steps(num_examples)
        return cls(count, total, max(1, round(recipe.warmup * total)) if recipe.warmup else 0)

    def end(self, cycle: int) -> int:
        """Steps that are done when cycle ``cycle`` (from 0) is over; where the first begins, for -1."""
        return self.warmup + math.ceil((self.total - self.warmup) * (cycle + 1) / self.count)

    def place(self, step: int) -> float:
        """How much of its cycle is over before ``step`` (from 0), in [0, 1); 0 while warming up."""
        for cycle in range(self.count):
            start, end = self.end(cycle - 1), self.end(cycle)
            if start <= step < end:
                return (step - start) / (end - start)
        return 0.0

    def done(self, steps: int, part: float = 1.0) -> list[int]:
        """The cycles of which ``part`` is over after just so many steps."""
        places = ((c, self.end(c - 1), self.end(c)) for c in range(self.count))
        return [cycle for cycle, start, end in places if steps == start + math.ceil(min(part, 1.0) * (end - start))]

    def anneal(self, optimizer: Optimizer) -> Optimizer:
        """Let every step of ``optimizer`` be scaled by the cosine of its place in its cycle."""
        step = 0

        def before(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            nonlocal step
            for group in optimizer.param_groups:
                group["place"] = self.place(step)
                group["lr"] *= 0.5 * (1 + math.cos(math.pi * group["place"]))
            step += 1

        optimizer.register_step_pre_hook(before)
        return optimizer
