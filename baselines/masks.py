"""Dropout with masks that are fixed once, and where in a network units are dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from baselines.protocol import Unsupported
from baselines.seeds import derive_seed

GATES = ("sigmoid", "softmax", "softmin", "attention")
"""Live among activations, in torch's and timm's, yet gate or normalize: dropping them is another method."""


class FixedMasks(TorchFunctionMode):
    """Within it, every call of a dropout function applies a mask that depends on the pass and the call alone.

    A mask is shared by the batch: one pass is one thinned network, and an example's outputs do not depend on its
    neighbours. Functions are caught rather than modules because many timm models call dropout without a module.

    Args:
        seed: of the masks.
        index: of the pass.
        masks: (pass, call) -> the mask of that call, on its device: filled here, and used again for every batch.
    """

    def __init__(self, seed: int, index: int, masks: dict[tuple[int, int], Tensor]) -> None:
        super().__init__()
        self.seed, self.index, self.masks, self.calls = seed, index, masks, 0

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d):
            return func(*args, **kwargs)
        x = args[0] if args else kwargs["input"]
        p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
        self.calls += 1
        if not p:
            return x
        kept = x.shape[1:] if func is F.dropout else (x.shape[1], *[1] * (x.dim() - 2))
        return x * self._mask(tuple(kept), p, x.device) * (1 / (1 - p))

    def _mask(self, shape: tuple[int, ...], p: float, device: torch.device) -> Tensor:
        """One byte a unit; drawn on the CPU, so that every device has the same."""
        key = (self.index, self.calls)
        mask = self.masks.get(key)
        if mask is None or mask.shape != shape or mask.device != device:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, *key))
            with torch.inference_mode(False):  # whoever asks first, gradients may be wanted later
                mask = self.masks[key] = (torch.rand(shape, generator=generator) >= p).to(device)
        return mask


class ThinnedPredictor(nn.Module):
    """One network, thinned by a fixed set of masks in each pass; normalization layers stay in eval mode."""

    def __init__(self, model: nn.Module, passes: int, seed: int) -> None:
        super().__init__()
        self.model, self.passes, self.seed = model, passes, seed
        self._masks: dict[tuple[int, int], Tensor] = {}

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [passes, batch, outputs]."""
        out = []
        for index in range(self.passes):
            with FixedMasks(self.seed, index, self._masks):
                out.append(self.model(x))
        return torch.stack(out)


def activations(model: nn.Module) -> dict[str, nn.Module]:
    """Activation modules of torch and timm by name, without those that gate or normalize.

    A gate is known by what it computes (`GATES`, in the name of its class) or by timm's name for it, ``gate``.
    """
    return {
        name: module
        for name, module in model.named_modules()
        if "activation" in type(module).__module__
        and not any(word in type(module).__name__.lower() for word in GATES)
        and name.rpartition(".")[2] != "gate"
    }


def add_after_activations(model: nn.Module, rate: float) -> None:
    """Drop units after every activation module, in place.

    Raises:
        Unsupported: the model has no activation modules.
    """
    found = activations(model)
    if not found:
        raise Unsupported(f"{type(model).__name__} has no activation modules: use placement=head")

    def drop(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return F.dropout(output, rate, module.training)

    for module in found.values():
        module.register_forward_hook(drop)


def add_before(head: nn.Linear, rate: float) -> None:
    """Drop the inputs of a layer, in place."""

    def drop(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return F.dropout(inputs[0], rate, module.training), *inputs[1:]

    head.register_forward_pre_hook(drop)
