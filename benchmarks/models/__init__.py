"""Networks: timm's, and a few that it does not have, registered with it: every one comes from `timm.create_model`."""

from __future__ import annotations

import timm
import torch
from torch import Tensor, nn

from benchmarks.models import tabular as tabular
from benchmarks.models.vision import Enlarged
from benchmarks.suite import TaskModel


def create(model: TaskModel, outputs: int, example: Tensor, seed: int) -> nn.Module:
    """A network with initial weights that ``seed`` decides, in eval mode, on the CPU.

    Args:
        model: name and arguments.
        outputs: of the network.
        example: [1, channels, height, width] or [1, features]; its second axis is what timm calls ``in_chans``.
        seed: of the initial weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = timm.create_model(model.name, num_classes=outputs, in_chans=example.shape[1], **model.arguments)
    return (net if model.image_size is None else Enlarged(net, model.image_size)).eval()
