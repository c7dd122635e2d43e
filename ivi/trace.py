"""What a network does with its layers in a forward pass: the order of use, foreign readers, and what the rows are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ivi.inputs import change_tensors, count_examples, tensors
from ivi.layers import KINDS
from ivi.sampler import unfused

_FAILURES = (RuntimeError, ValueError, AssertionError, IndexError, TypeError, NotImplementedError)


@final
@dataclass(frozen=True)
class Trace:
    """One forward pass.

    Attributes:
        calls: every Linear and Conv1d/2d/3d in the order in which it was called, or other code computed with its
            weights; once per use.
        read: those whose weights other code computed with.
        example: the inputs that were passed.
    """

    calls: tuple[nn.Module, ...]
    read: frozenset[nn.Module]
    example: Any


def trace(model: nn.Module, example: Any, required: bool) -> Trace | None:
    """Run one forward pass without gradients, in evaluation mode, and restore the modes.

    Args:
        model: any module.
        example: a batch of inputs; None makes one from the ``input_size`` of a timm model's configuration.
        required: whether it is an error if there is no example.

    Returns:
        What was seen; None without an example.

    Raises:
        ValueError: there is no example though one is required, or the model refuses the one made for it.
    """
    guessed = example is None
    example = _example_for(model) if example is None else example
    if example is None:
        if required:
            raise ValueError("cannot tell which layers come first and last: pass example=, a batch of inputs")
        return None
    layers: list[nn.Module] = [module for module in model.modules() if isinstance(module, KINDS)]
    seen = _Uses(layers)
    try:
        with _hooked(layers, seen.enter, seen.leave), seen:
            run(model, example)
    except (RuntimeError, ValueError, AssertionError) as error:
        if not guessed:
            raise
        size = tuple(example.shape)
        raise ValueError(
            f"the model refuses an input of the size in its configuration, {size}: pass example="
        ) from error
    return Trace(tuple(seen.calls), frozenset(seen.read), example)


def run(model: nn.Module, example: Any) -> Any:
    """Outputs in evaluation mode without gradients; modes are restored."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad(), unfused():
            return model(example)
    finally:
        for module, training in modes.items():
            module.training = training


def rows_of_examples(model: nn.Module, example: Any, layers: Iterable[nn.Module]) -> set[nn.Module]:
    """Those of ``layers`` whose input rows are the examples of the batch in their order, as many rows for each.

    Three examples are passed, and one of them is changed in turn: a row belongs to the examples that it changes with.
    An example of numbers is changed to NaN, which no zero weight can hide; one of indices (tokens) to other indices,
    with parameters that stand near zero replaced for the time.

    Raises:
        ValueError: the model refuses a batch of three.
    """
    layers = list(layers)
    count = count_examples((example,), {})
    batch = change_tensors(example, lambda t: _three(t, count))
    found = {layer: True for layer in layers}
    with awake(model):
        try:
            base = _inputs(model, batch, layers)
            for index in (0, 2):
                changed = _inputs(model, change_tensors(batch, lambda t, i=index: _changed(t, i)), layers)
                for layer in layers:
                    found[layer] &= _moved_alone(base[layer], changed[layer], index)
        except _FAILURES as error:
            raise ValueError(
                f"antithetic and per-example noise must know which rows belong to which example, and the model refuses "
                f"to show it on a batch of three ({type(error).__name__}: {error}): use noise='shared'"
            ) from error
    return {layer for layer in layers if found[layer]}


def _inputs(model: nn.Module, batch: Any, layers: list[nn.Module]) -> dict[nn.Module, list[Tensor]]:
    seen: dict[nn.Module, list[Tensor]] = {layer: [] for layer in layers}
    with _hooked(layers, lambda module, args: seen[module].append(args[0].detach().clone())):
        run(model, batch)
    return seen


def _three(tensor: Tensor, count: int) -> Tensor:
    if tensor.dim() == 0 or len(tensor) != count:
        return tensor
    return torch.cat([tensor[:1]] * 3)


def _changed(tensor: Tensor, index: int) -> Tensor:
    if tensor.dim() == 0 or len(tensor) != 3 or tensor.dtype == torch.bool:
        return tensor
    changed = tensor.clone()
    if tensor.is_floating_point() or tensor.is_complex():
        changed[index] = torch.nan
    else:
        low, high = tensor.min(), tensor.max()
        other = high + low - tensor[index]
        changed[index] = torch.where(other == tensor[index], torch.where(other == 0, 1, other - 1), other)
    return changed


def _moved_alone(base: list[Tensor], changed: list[Tensor], index: int) -> bool:
    if not base or len(base) != len(changed):
        return False
    return all(_is_block(one, other, index) for one, other in zip(base, changed, strict=True))


def _is_block(one: Tensor, other: Tensor, index: int) -> bool:
    if one.shape != other.shape or one.dim() < 2 or len(one) % 3 or not len(one):
        return False
    moved = (one != other).flatten(1).any(1)
    block = torch.arange(len(one), device=moved.device) // (len(one) // 3) == index
    return bool(torch.equal(moved, block))


@contextmanager
def awake(model: nn.Module) -> Iterator[None]:
    """Inside, parameters that are all near zero are replaced by numbers around one half: what a network that starts
    with closed gates (residual scales of zero) computes later is seen at once.
    """
    generator = torch.Generator().manual_seed(0)
    changed: list[tuple[dict[str, Any], str, Tensor]] = []
    try:
        for module in model.modules():
            own = cast("dict[str, Any]", module._parameters)
            for name, parameter in own.items():
                if parameter is None or not parameter.numel() or not parameter.is_floating_point():
                    continue
                if parameter.detach().abs().max() < 1e-2:
                    noise = torch.randn(parameter.shape, generator=generator)
                    changed.append((own, name, parameter))
                    own[name] = (0.5 + 0.1 * noise).to(parameter.device, parameter.dtype)
        yield
    finally:
        for own, name, parameter in changed:
            own[name] = parameter


class _Uses(TorchFunctionMode):
    """Notes the layers that are called, and those whose weights a function gets while they are not."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.calls: list[nn.Module] = []
        self.read: set[nn.Module] = set()
        self._running: list[nn.Module] = []
        self._owners = {id(p): layer for layer in layers for p in layer._parameters.values() if p is not None}

    def enter(self, module: nn.Module, args: Any) -> None:
        """Hook before a layer's forward."""
        self.calls.append(module)
        self._running.append(module)

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        """Hook after it."""
        self._running.pop()

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        owners = {self._owners[id(t)] for t in tensors([args, kwargs or {}]) if id(t) in self._owners}
        # Who asks for a shape or a number format gets no tensor.
        if owners and next(tensors([result]), None) is not None:
            foreign = owners.difference(self._running)
            self.read |= foreign
            self.calls += sorted(foreign.difference(self.calls[-1:]), key=id)
        return result


@contextmanager
def _hooked(
    layers: Iterable[nn.Module], before: Callable[..., Any], after: Callable[..., Any] | None = None
) -> Iterator[None]:
    handles: list[Any] = []
    for layer in layers:
        handles.append(layer.register_forward_pre_hook(before))
        if after is not None:
            handles.append(layer.register_forward_hook(after, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _example_for(model: nn.Module) -> Tensor | None:
    config = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
    size = getattr(config, "get", lambda _: None)("input_size")
    parameter = next(model.parameters(), None)
    if not size or parameter is None:
        return None
    # The configuration speaks of the checkpoint; a model made for grey images says so only in its first convolution.
    first = next((m for m in model.modules() if isinstance(m, KINDS[1:])), None)
    channels = size[0] if first is None else cast(nn.Conv2d, first).in_channels
    # Networks made for another size keep it where images are cut into patches.
    kept = (getattr(module, "img_size", None) for module in model.modules())
    sides = next((sides for sides in kept if isinstance(sides, tuple)), size[1:])
    return torch.zeros(1, channels, *sides, device=parameter.device, dtype=parameter.dtype)
