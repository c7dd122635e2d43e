"""How the prior precision of a Laplace approximation is chosen."""

from __future__ import annotations

import torch
from torch import Tensor

GRID = tuple(10 ** (power / 5) for power in range(-20, 21))
"""Prior precisions that are tried on validation data: the range of laplace-torch's own search."""


def tuned(values: Tensor, weights: Tensor, steps: int = 100, lr: float = 0.1) -> Tensor:
    """The prior precision that maximises Laplace's marginal likelihood, by Adam from 1 as in laplace-torch.

    Args:
        values: all eigenvalues of the GGN, any shape.
        weights: MAP weights, as many numbers.
        steps: of Adam.
        lr: of Adam, on the logarithm.
    """
    with torch.inference_mode(False), torch.enable_grad():
        values, norm = values.detach().clone(), weights.detach().clone().square().sum()
        log_precision = torch.zeros((), dtype=values.dtype, device=values.device, requires_grad=True)
        adam = torch.optim.Adam([log_precision], lr=lr)
        for _ in range(steps):
            adam.zero_grad()
            precision = log_precision.exp()
            logdet = (values + precision).log().sum() - values.numel() * log_precision
            (0.5 * (logdet + precision * norm)).backward()
            adam.step()
    return log_precision.detach().exp()
