"""The head of a network: the linear layer whose output is the network's output. It is found here and nowhere else."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from baselines.protocol import Unsupported

ROWS = 8
"""Inputs that a candidate is tried with."""


def find_head(model: nn.Module, example: Tensor) -> nn.Linear:
    """The linear layer whose output *is* the output of ``model``: what timm's ``get_classifier`` names, else any.

    Each candidate is tried on a copy of the network, with some inputs: numbers are put in the place of its output,
    and must come out as they are. That excludes heads that are averaged, scaled, clipped, called twice, chosen by the
    input, or followed by something. The copy's weights are shifted before: what starts as nothing (a gate at 0, a
    temperature at 1) will be something after training.

    Args:
        model: a network on the device of ``example``.
        example: [1, ...], an input of the right shape and type, as `baselines.protocol.Problem.example`.

    Raises:
        Unsupported: there is no such layer; the message says which was looked at.
    """
    twin, inputs = _shifted(model), _inputs(example)
    names = {module: name for name, module in model.named_modules()}
    for layer in _candidates(model):
        if _is_head(twin, twin.get_submodule(names[layer]), inputs):
            return layer
    named = _named_head(model)
    looked_at = f"its classifier, {_words(named)}, is not" if named is not None else "none of its layers is"
    raise Unsupported(f"{type(model).__name__} has no head: {looked_at} a linear layer whose output is the network's")


def _shifted(model: nn.Module) -> nn.Module:
    """A copy of the network in eval mode, every number of its state a little larger.

    A copy, since a pass may leave something behind: networks of timm keep attention biases of their first pass.
    """
    try:
        twin = copy.deepcopy(model).eval()
    except RuntimeError as error:  # tensors that carry a graph cannot be copied
        raise Unsupported(f"{type(model).__name__} cannot be copied to look for its head: {error}") from None
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for one in (*twin.parameters(), *twin.buffers()):
            if one.is_floating_point():
                one.add_(0.1 * torch.rand(one.shape, generator=generator).to(one))
    return twin


def _inputs(example: Tensor) -> Tensor:
    """The example and, where inputs are real numbers, others of its shape: [8, ...]."""
    if not example.is_floating_point():
        return example.repeat(ROWS, *(1,) * (example.dim() - 1))
    others = torch.randn(ROWS - 1, *example.shape[1:], generator=torch.Generator().manual_seed(0))
    return torch.cat([example, others.to(example)])


def features_and_outputs(model: nn.Module, head: nn.Linear, x: Tensor) -> tuple[Tensor, Tensor]:
    """What goes into the head, [batch, features], and what comes out of it, [batch, outputs], in one pass."""
    seen: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        outputs = model(x)
    finally:
        handle.remove()
    return seen[0], outputs


def _named_head(model: nn.Module) -> Any:
    get_classifier = getattr(model, "get_classifier", None)
    return get_classifier() if callable(get_classifier) else None


def _candidates(model: nn.Module) -> Iterator[nn.Linear]:
    """What timm says, then all linear layers from the last registered one."""
    named = _named_head(model)
    if isinstance(named, nn.Linear):
        yield named
    yield from (m for m in reversed(list(model.modules())) if isinstance(m, nn.Linear) and m is not named)


def _is_head(model: nn.Module, layer: nn.Module, inputs: Tensor) -> bool:
    put: list[Tensor] = []
    flat: list[bool] = []

    def replace(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(len(put))
        flat.append(given[0].dim() == 2)
        sizes = torch.logspace(-2, 4, len(output)).view(-1, *(1,) * (output.dim() - 1))
        put.append((sizes * torch.randn(output.shape, generator=generator)).to(output))
        return put[-1].clone()  # whatever follows may write into it

    handle = layer.register_forward_hook(replace)
    try:
        with torch.no_grad():
            out = model(inputs)
    finally:
        handle.remove()
    return flat == [True] and isinstance(out, Tensor) and torch.equal(out, put[0])


def _words(thing: Any) -> str:
    parts = cast("tuple[Any, ...]", thing) if isinstance(thing, tuple | list) else (thing,)
    return " and ".join(str(part) for part in parts)


def replace_head(model: nn.Module, head: nn.Linear, new: nn.Module) -> None:
    """Put ``new`` in the place of ``head``, in place: with an identity the network gives its features."""
    name = next(name for name, module in model.named_modules() if module is head)
    if not name:
        raise Unsupported("the network is one layer: it has no features")
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, new)
