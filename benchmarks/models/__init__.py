"""Networks: timm's, and a few that it does not have, registered with it: every one comes from `timm.create_model`."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn

from benchmarks.models import tabular as tabular
from benchmarks.models.vision import Head, Resized
from benchmarks.models.weights import load_pretrained
from benchmarks.pretrained import HUB
from benchmarks.suite import TaskModel


def create(model: TaskModel, outputs: int, example: Tensor, seed: int) -> nn.Module:
    """A network with initial weights that ``seed`` decides, pretrained ones apart, in eval mode, on the CPU.

    Args:
        model: name and arguments; of one whose trunk is frozen only the head is made.
        outputs: of the network.
        example: [1, channels, height, width] or [1, features]; its second axis is what timm calls ``in_chans``.
        seed: of the initial weights.

    Raises:
        UserError: the weights cannot be had, or are another network's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if model.frozen:
            return Head(example.shape[1], outputs).eval()
        return _network(model, outputs, example.shape[1]).eval()


def trunk(model: TaskModel, channels: int) -> nn.Module:
    """The pretrained network of ``model`` without its head, in eval mode: images -> features [batch, features]."""
    return _network(model, 0, channels).eval().requires_grad_(False)


def _network(model: TaskModel, outputs: int, channels: int) -> nn.Module:
    net = timm.create_model(
        model.name, pretrained=model.pretrained == HUB, num_classes=outputs, in_chans=channels, **model.arguments
    )
    load_pretrained(net, model)
    if model.image_size is None:
        return net
    config: dict[str, Any] = getattr(net, "pretrained_cfg", None) or {}
    own = (config["crop_pct"], config["interpolation"]) if model.pretrained else (1.0, "bicubic")
    return Resized(net, model.image_size, model.crop or own[0], own[1])
