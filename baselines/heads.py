"""The head of a network: the linear layer whose output is the network's output. It is found here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from baselines.protocol import Unsupported


def find_head(model: nn.Module, example: Tensor) -> nn.Linear:
    """The linear layer whose output *is* the output of ``model``: what timm's ``get_classifier`` names, else any.

    Each candidate is tried: another number is put in the place of its output, and must come out of the network. That
    excludes heads that are averaged, scaled, called twice or followed by something.

    Args:
        model: a network on the device of ``example``.
        example: [1, ...], an input of the right shape and type, as `baselines.protocol.Problem.example`.

    Raises:
        Unsupported: there is no such layer; the message says which was looked at.
    """
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        for layer in _candidates(model):
            if _is_head(model, layer, example):
                return layer
    finally:
        for module in training:
            module.training = True
    named = _named_head(model)
    looked_at = f"its classifier, {_words(named)}, is not" if named is not None else "none of its layers is"
    raise Unsupported(f"{type(model).__name__} has no head: {looked_at} a linear layer whose output is the network's")


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


def _is_head(model: nn.Module, layer: nn.Linear, example: Tensor) -> bool:
    put: list[Tensor] = []
    flat: list[bool] = []

    def replace(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(len(put))
        flat.append(inputs[0].dim() == 2)
        put.append(torch.randn(output.shape, generator=generator).to(output))
        return put[-1]

    handle = layer.register_forward_hook(replace)
    try:
        with torch.no_grad():
            out = model(example)
    finally:
        handle.remove()
    return flat == [True] and torch.equal(out, put[0])


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
