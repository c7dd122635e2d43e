"""One network that several members share: which row of a layer belongs to which member, and where units are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from baselines.protocol import Problem, Unsupported
from baselines.train import Loss
from ivi.trace import rows_of_examples


class SharedNetwork(nn.Module):
    """A network whose layers give each member's rows something of that member's own.

    A batch in training is cut into as many parts as there are members: a step costs what it costs for one network.
    """

    def __init__(self, model: nn.Module, members: int) -> None:
        super().__init__()
        self.model, self.members = model, members
        self._owner = torch.zeros(1, dtype=torch.int64)
        model.register_forward_pre_hook(self._share)

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [members, batch, outputs], in one pass of the batch taken as often as there are members."""
        repeated = x.repeat(self.members, *[1] * (x.dim() - 1))
        return self.model(repeated).unflatten(0, (self.members, len(x)))

    def scaled(self, x: Tensor, vectors: Tensor, channel: int) -> Tensor:
        """``x`` times what its member has: rows of ``vectors`` [members, channels], along the dimension ``channel``."""
        owner = self._owner.repeat_interleave(len(x) // len(self._owner))
        shape = [len(x), *[1] * (x.dim() - 1)]
        shape[channel] = -1
        return x * vectors[owner].view(shape)

    def _share(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        count = len(inputs[0])
        self._owner = torch.arange(count, device=inputs[0].device) * self.members // count


def shared_loss(problem: Problem) -> Loss:
    """The likelihood's mean loss, of each member on its part of the batch."""
    return lambda net, x, y: problem.likelihood.loss(cast(SharedNetwork, net).model(x), y)


def aligned(model: nn.Module, example: Tensor, modules: Iterable[nn.Module]) -> set[nn.Module]:
    """Those of ``modules`` that are called and whose rows are the examples of the batch in their order.

    Raises:
        Unsupported: it cannot be seen, or there are none: which rows are a member's would be unknown.
    """
    modules = list(modules)
    try:
        found = rows_of_examples(model, example, modules) if modules else set()
    except ValueError as error:
        raise Unsupported(f"{type(model).__name__} does not show which rows belong to which example: {error}") from None
    if not found:
        raise Unsupported(f"{type(model).__name__} has no layer of the kind whose rows are the examples in their order")
    return found


def channel_dim(layer: nn.Module) -> int:
    """The dimension of channels in what goes into and comes out of a linear or convolutional layer."""
    return -1 if isinstance(layer, nn.Linear) else 1
