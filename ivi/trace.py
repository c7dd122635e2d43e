"""The order in which a network calls its layers."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ivi.layers import KINDS


def trace(model: nn.Module, example: Tensor | None, required: bool) -> list[nn.Module] | None:
    """Run one forward pass without gradients, in evaluation mode, and restore the modes.

    Args:
        model: any module.
        example: a batch of inputs; None makes one from the ``input_size`` of a timm model's configuration.
        required: whether it is an error if there is no example.

    Returns:
        Every Linear and Conv1d/2d/3d in the order of its calls, once per call; None without an example.

    Raises:
        ValueError: there is no example though one is required, or the model refuses the one made for it.
    """
    guessed = example is None
    example = _example_for(model) if example is None else example
    if example is None:
        if required:
            raise ValueError("cannot tell which layers come first and last: pass example=, a batch of inputs")
        return None
    calls: list[nn.Module] = []
    candidates = [module for module in model.modules() if isinstance(module, KINDS)]
    handles = [module.register_forward_pre_hook(lambda m, _: calls.append(m)) for module in candidates]
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad():
            model(example)
    except (RuntimeError, ValueError, AssertionError) as error:
        if not guessed:
            raise
        size = tuple(example.shape)
        raise ValueError(
            f"the model refuses an input of the size in its configuration, {size}: pass example="
        ) from error
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training
    return calls


def _example_for(model: nn.Module) -> Tensor | None:
    config = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
    size = getattr(config, "get", lambda _: None)("input_size")
    parameter = next(model.parameters(), None)
    if not size or parameter is None:
        return None
    # The configuration speaks of the checkpoint; a model made for grey images says so only in its first convolution.
    first = next((m for m in model.modules() if isinstance(m, KINDS[1:])), None)
    channels = size[0] if first is None else cast(nn.Conv2d, first).in_channels
    return torch.zeros(1, channels, *size[1:], device=parameter.device, dtype=parameter.dtype)
