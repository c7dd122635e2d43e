"""Where the weights of a network have been: the moments of a path, and the Gaussian that has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from baselines.weight_draws import NormStatistics, Values, WeightDraws


class WeightPath(WeightDraws):
    """A network, mean, variance and last deviations of its weights along a path, and batch statistics of each draw.

    Source: Maddox et al. 2019, arXiv 1902.02476, algorithm 1.

    Args:
        model: the network whose weights move.
        draws: weight draws to predict with.
        rank: deviations from the mean that are kept.
        seed: of the draws.
    """

    def __init__(self, model: nn.Module, draws: int, rank: int, seed: int) -> None:
        super().__init__(model, draws, seed)
        self.rank, self.statistics = rank, NormStatistics(model, draws)
        self.register_buffer("points", torch.ones((), dtype=torch.int64))
        for i, p in enumerate(model.parameters()):
            self.register_buffer(f"mean_{i}", p.detach().clone())
            self.register_buffer(f"variance_{i}", torch.zeros_like(p.detach()))
            self.register_buffer(f"deviations_{i}", p.detach().new_zeros(rank, *p.shape))

    @torch.no_grad()
    def begin(self) -> None:
        """Let the path begin at the network's present weights, its first point."""
        for i, p in enumerate(self.model.parameters()):
            self.get_buffer(f"mean_{i}").copy_(p)

    @torch.no_grad()
    def collect(self) -> None:
        """Take the network's present weights in as one more point."""
        count = int(self.get_buffer("points").add_(1))
        for i, p in enumerate(self.model.parameters()):
            mean, variance = self.get_buffer(f"mean_{i}"), self.get_buffer(f"variance_{i}")
            before = p - mean
            mean.add_(before / count)
            variance.lerp_(before * (p - mean), 1 / count)  # mean square less squared mean, without their cancelling
            if self.rank:
                self.get_buffer(f"deviations_{i}")[count % self.rank] = p - mean
        self.forget()

    def estimate_statistics(self, batches: Callable[[], Iterable[Tensor]]) -> None:
        """Estimate the batch statistics of every draw from all that ``batches`` gives, anew for each."""
        for index, values in enumerate(self.each()):
            self.statistics.estimate(index, self.model, values, batches)
        self.forget()

    def draw(self, index: int, generator: torch.Generator) -> Values:
        """Weights by equation 1 (with no rank, of the diagonal Gaussian), and their batch statistics."""
        columns = min(self.rank, int(self.get_buffer("points")) - 1)
        factor = torch.randn(self.rank, generator=generator) / math.sqrt(2 * max(1, columns - 1))
        values = self.statistics.of(index)
        for i, (name, p) in enumerate(self.model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator).to(p) / math.sqrt(2 if self.rank else 1)
            std = self.get_buffer(f"variance_{i}").sqrt()
            low_rank = torch.tensordot(factor.to(p), self.get_buffer(f"deviations_{i}"), 1)
            values[name] = self.get_buffer(f"mean_{i}") + std * noise + low_rank
        return values
