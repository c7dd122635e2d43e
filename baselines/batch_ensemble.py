"""BatchEnsemble: members that share each weight matrix up to a rank-one factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor, nn

from baselines.members import SharedNetwork, aligned, channel_dim, shared_loss
from baselines.protocol import Problem
from baselines.train import train
from ivi.layers import KINDS


class FastWeights(nn.Module):
    """A layer's vectors [members, channels]: r scales its inputs, s its outputs, as if its weight were W * (s rᵀ)."""

    def __init__(self, layer: nn.Module, members: int, spread: float, generator: torch.Generator) -> None:
        super().__init__()
        weight: Any = layer.weight
        inputs = weight.shape[1] * getattr(layer, "groups", 1)
        r, s = (1 + spread * torch.randn(members, size, generator=generator) for size in (inputs, len(weight)))
        self.r, self.s = nn.Parameter(r.to(weight)), nn.Parameter(s.to(weight))


class BatchEnsemblePredictor(SharedNetwork):
    """One network with the fast weights of every layer."""

    def __init__(self, model: nn.Module, layers: list[nn.Module], method: BatchEnsemble, seed: int) -> None:
        super().__init__(model, method.members)
        generator = torch.Generator().manual_seed(seed)
        self.fast = nn.ModuleList(FastWeights(one, method.members, method.spread, generator) for one in layers)
        for layer, own in zip(layers, self.fast, strict=True):
            self._attach(layer, own)

    def _attach(self, layer: nn.Module, own: Any) -> None:
        def before(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
            return self.scaled(inputs[0], own.r, channel_dim(module)), *inputs[1:]

        def after(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
            return self.scaled(output, own.s, channel_dim(module))

        layer.register_forward_pre_hook(before)
        layer.register_forward_hook(after)


@dataclass(frozen=True)
class BatchEnsemble:
    """BatchEnsemble (Wen, Tran & Ba 2020, arXiv 2002.06715): W_i = W * (s_i r_iᵀ), equations 1 and 5, in all layers.

    What matters is ``spread``, on which the members' diversity rests. Defaults are the authors' code's. Fast weights
    are, as there, under no weight decay, but at the recipe's rate; a member sees its own part of a batch.

    Attributes:
        members: number of members; one is the network itself.
        spread: standard deviation of the fast weights about 1 when training begins.
    """

    members: Annotated[int, Ge(1)] = 4
    spread: Annotated[float, Ge(0)] = 0.5

    map_equivalent = {"members": 1}

    def predictor(self, problem: Problem) -> BatchEnsemblePredictor:
        """An untrained network with its fast weights."""
        model = problem.new_model().eval()
        found = aligned(model, problem.example, (m for m in model.modules() if isinstance(m, KINDS)))
        layers = [module for module in model.modules() if module in found and self.members > 1]
        return BatchEnsemblePredictor(model, layers, self, problem.seeds.noise("fast weights"))

    def fit(self, problem: Problem) -> BatchEnsemblePredictor:
        """Train slow and fast weights by the recipe."""
        predictor = self.predictor(problem)
        slow, fast = list(predictor.model.parameters()), list(predictor.fast.parameters())
        groups = [{"params": slow}, *([{"params": fast, "weight_decay": 0.0}] if fast else [])]
        train(predictor, problem, loss=shared_loss(problem), groups=groups)
        return predictor
