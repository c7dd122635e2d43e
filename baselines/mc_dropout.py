"""MC dropout: dropout stays on when predicting, with masks that are fixed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from baselines.protocol import Problem, Unsupported
from baselines.seeds import derive_seed
from baselines.train import train

GATES = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.Hardsigmoid)
"""Live among torch's activations, yet gate or normalize: dropping them is another method."""


class FixedMasks(TorchFunctionMode):
    """Within it, every call of a dropout function applies a mask that depends on the pass and the call alone.

    A mask is shared by the batch: one pass is one thinned network, and an image's logits do not depend on its
    neighbours. Functions are caught rather than modules because many timm models call dropout without a module.
    """

    def __init__(self, seed: int, index: int) -> None:
        super().__init__()
        self.seed, self.index, self.calls = seed, index, 0

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d):
            return func(*args, **kwargs)
        x = args[0] if args else kwargs["input"]
        p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.index, self.calls))
        self.calls += 1
        kept = x.shape[1:] if func is F.dropout else (x.shape[1], *[1] * (x.dim() - 2))
        mask = torch.rand(kept, generator=generator) >= p
        return x * (mask.to(x.device, x.dtype) / (1 - p))


class MCDropoutPredictor(nn.Module):
    """One network, thinned by a fixed set of masks in each pass; normalization layers stay in eval mode."""

    def __init__(self, model: nn.Module, passes: int, seed: int) -> None:
        super().__init__()
        self.model, self.passes, self.seed = model, passes, seed

    def logits(self, x: Tensor) -> Tensor:
        """Logits [passes, batch, classes]."""
        out = []
        for index in range(self.passes):
            with FixedMasks(self.seed, index):
                out.append(self.model(x))
        return torch.stack(out)


@dataclass(frozen=True)
class MCDropout:
    """MC dropout (Gal and Ghahramani 2016, arXiv 1506.02142).

    Attributes:
        rate: probability of dropping a unit, when training and predicting.
        placement: ``all``: after every activation; ``head``: before the last linear layer only.
        passes: number of masks to predict with.
    """

    rate: float = 0.1
    placement: Literal["all", "head"] = "all"
    passes: int = 32

    map_equivalent = {"rate": 0.0}

    def predictor(self, problem: Problem) -> MCDropoutPredictor:
        """An untrained network with its dropout in place."""
        model = problem.new_model()
        if self.placement == "all":
            add_after_activations(model, self.rate)
        else:
            add_before_head(model, self.rate)
        return MCDropoutPredictor(model, self.passes, derive_seed(problem.seeds.noise, "masks"))

    def fit(self, problem: Problem) -> MCDropoutPredictor:
        """Train with dropout by the recipe."""
        predictor = self.predictor(problem)
        train(predictor.model, problem)
        return predictor


def add_after_activations(model: nn.Module, rate: float) -> None:
    """Drop units after every activation module, in place.

    Raises:
        Unsupported: the model has no activation modules.
    """
    found = [m for m in model.modules() if "activation" in type(m).__module__ and not isinstance(m, GATES)]
    if not found:
        raise Unsupported(f"{type(model).__name__} has no activation modules: use placement=head")

    def drop(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return F.dropout(output, rate, module.training)

    for module in found:
        module.register_forward_hook(drop)


def add_before_head(model: nn.Module, rate: float) -> None:
    """Drop the inputs of the last linear layer, in place."""
    heads = [m for m in model.modules() if isinstance(m, nn.Linear)]
    if not heads:
        raise Unsupported(f"{type(model).__name__} has no linear layer to drop before: use placement=all")

    def drop(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return F.dropout(inputs[0], rate, module.training), *inputs[1:]

    heads[-1].register_forward_pre_hook(drop)
