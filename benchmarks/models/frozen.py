"""Pictures through a pretrained trunk that no method changes: once, when the data of a task are sealed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from baselines.names import UserError
from benchmarks import models
from benchmarks.data.examples import Affine
from benchmarks.data.features import Features
from benchmarks.data.images import Images, image_affine
from benchmarks.data.spec import DataSpec, ImageSpec
from benchmarks.suite import Task, TaskModel

BATCH_SIZE = 50
"""Pictures at a time."""


@dataclass(frozen=True)
class FrozenTrunk:
    """A pretrained network without its head, and how pictures are normalized for it."""

    net: nn.Module
    affine: Affine

    @classmethod
    def of(cls, model: TaskModel, spec: DataSpec) -> FrozenTrunk:
        """The trunk of ``model`` for pictures of ``spec``.

        Raises:
            UserError: the weights cannot be had; or these are no pictures.
        """
        if not isinstance(spec, ImageSpec):
            raise UserError(f"a frozen trunk sees pictures; {spec.name} holds none")
        net = models.trunk(model, spec.shape[0])
        return cls(net.to(memory_format=torch.channels_last), normalization(model, spec))

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        """[N, channels, height, width] uint8 -> features [N, features] float32."""
        parts = [
            self.net(batch.mul(self.affine.scale).add_(self.affine.shift).to(memory_format=torch.channels_last))
            for batch in pixels.split(BATCH_SIZE)
        ]
        return torch.cat(parts).contiguous()

    def features(self, images: Images) -> Features:
        """What stands for ``images``."""
        return Features(self(images.pixels), images.labels, images.classes, images.inputs_sha256)


def normalization(model: TaskModel, spec: ImageSpec) -> Affine:
    """Mean and deviation that the weights were trained with; of others, or of other channels, those of the spec."""
    from timm.models import get_pretrained_cfg

    config: Any = get_pretrained_cfg(model.name) if model.pretrained is not None else None
    if config is None or len(config.mean) != spec.shape[0]:
        return image_affine(spec)
    return image_affine(spec.model_copy(update={"mean": tuple(config.mean), "std": tuple(config.std)}))


def trunk_of(task: Task, spec: DataSpec) -> FrozenTrunk | None:
    """The frozen trunk of a task's model; None where it is trained. Weights are read once, to be refused now.

    Raises:
        UserError: the weights cannot be had, or are another network's.
    """
    if task.model.frozen:
        return FrozenTrunk.of(task.model, spec)
    if task.model.pretrained is not None and isinstance(spec, ImageSpec):
        models.create(task.model, spec.num_classes, torch.zeros(1, *spec.shape), seed=0)
    return None
