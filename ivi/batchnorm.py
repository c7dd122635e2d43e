"""Batch normalization's running statistics under the weights that a prediction uses."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ivi.draws import Draws, SeededDraws
from ivi.predict import held, single_passes
from ivi.sampler import unfused
from ivi.variationalize import random_layers


def update_bn(net: nn.Module, batches: Iterable[Any], draws: Draws | SeededDraws | None = None) -> None:
    """Estimate the running statistics of every batch normalization anew, each batch counting alike.

    Args:
        net: a variational network; everything but batch normalization runs in evaluation mode.
        batches: inputs, or tuples and lists that begin with them, as a loader of training images gives.
        draws: each batch sees the next of these draws, over and over; None: all see the mean weights. Statistics are
            pooled over the draws.

    Raises:
        ValueError: the network has no batch normalization with running statistics, or there are no batches.
    """
    norms = [m for m in net.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if not norms:
        raise ValueError("this network has no batch normalization with running statistics")
    layers, momenta = random_layers(net), [norm.momentum for norm in norms]
    passes = cycle([dict.fromkeys(layers)] if draws is None else list(single_passes(draws, layers)))
    count = 0
    try:
        with torch.no_grad(), held(net), unfused():
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # the mean over all batches
                norm.train()
            for batch in batches:
                for name, draw in next(passes).items():
                    layers[name].current_draw = draw
                net(batch[0] if isinstance(batch, list | tuple) else batch)
                count += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    if not count:
        raise ValueError("there are no batches to estimate statistics from")
