"""One network that several members share: which row of a layer belongs to which member, and where units are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from baselines.protocol import Problem, Unsupported
from baselines.train import Loss
from ivi.layers import KINDS
from ivi.trace import rows_of_examples

TRIES = 10_000
"""Sets of masks that are drawn until one leaves no unit out; the size is chosen so that few are needed."""


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


def unit_dims(model: nn.Module, example: Tensor, modules: Iterable[nn.Module]) -> dict[nn.Module, int]:
    """Of each `aligned` module the dimension of its output that counts units: that which the next layer takes as such.

    A linear layer takes the last, a convolution the second. Vectors have one only.
    """
    found = aligned(model, example, modules)
    waiting: list[tuple[nn.Module, Tensor]] = []
    dims: dict[nn.Module, int] = {}

    def seen(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(module, KINDS):
            dims.update({one: _units(out, module) for one, out in waiting})
            waiting.clear()
        elif module in found:
            dims[module] = 1
            waiting.append((module, output))

    handles = [module.register_forward_hook(seen) for module in model.modules()]
    try:
        with torch.no_grad():
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    return dims


def _units(out: Tensor, layer: nn.Module) -> int:
    return -1 if isinstance(layer, nn.Linear) and out.shape[-1] == layer.in_features else 1


def overlapping_masks(units: int, members: int, scale: float, seed: int) -> Tensor:
    """Masks [members, units] of zeros and ones that keep as many units each and leave no unit to none of them.

    Each keeps ``ones`` of ``ones * scale`` places; places that nobody keeps are left out. ``ones`` is such that
    ``units`` places are expected to be left, and masks are drawn until they are.

    Source: Durasov et al. 2021, arXiv 2012.08334, section 3.

    Raises:
        Unsupported: so few units cannot be shared out like that.
    """
    generator = torch.Generator().manual_seed(seed)
    ones = max(1, round(units / (scale * (1 - (1 - 1 / scale) ** members))))
    places = max(units, round(ones * scale))
    for _ in range(TRIES):
        chosen = torch.rand(members, places, generator=generator).argsort(1) < ones
        kept = chosen[:, chosen.any(0)]
        if kept.shape[1] == units:
            return kept.float()
    raise Unsupported(f"{members} masks of {ones} ones do not cover {units} units: use a smaller scale")
