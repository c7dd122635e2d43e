"""Networks that timm does not have, registered with it: every model comes from `timm.create_model`."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from timm.layers.norm import GroupNorm
from timm.models import register_model
from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK: Any = BasicBlock  # timm says instance where it means class
NORMS: dict[str, Any] = {"group": partial(GroupNorm, num_groups=8), "batch": nn.BatchNorm2d}


class LeNet5(nn.Module):
    """LeNet-5 (LeCun et al. 1998) with ReLU and max pooling, for 28x28 images: about 62,000 parameters."""

    def __init__(self, num_classes: int = 10, in_chans: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_chans, 6, 5, padding=2)
        self.act1 = nn.ReLU()
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.act2 = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.act3 = nn.ReLU()
        self.fc2 = nn.Linear(120, 84)
        self.act4 = nn.ReLU()
        self.fc = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [batch, classes] of images [batch, channels, 28, 28]."""
        x = self.act1(self.pool(self.conv1(x)))  # the same as pooling last, with a quarter of the activations
        x = self.act2(self.pool(self.conv2(x)))
        x = self.act4(self.fc2(self.act3(self.fc1(x.flatten(1)))))
        return self.fc(x)

    def get_classifier(self) -> nn.Linear:
        """The last layer."""
        return self.fc


class MLP(nn.Module):
    """A ReLU network of ``depth`` hidden layers of ``width`` units, with batch normalization if ``norm``."""

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 1,
        img_size: int = 8,
        width: int = 64,
        depth: int = 2,
        norm: bool = False,
    ) -> None:
        super().__init__()
        hidden: list[nn.Module] = []
        for i in range(depth):
            hidden.append(nn.Linear(width if i else in_chans * img_size**2, width, bias=not norm))
            hidden += [nn.BatchNorm1d(width)] if norm else []
            hidden.append(nn.ReLU())
        self.hidden = nn.Sequential(*hidden)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [batch, classes] of images [batch, channels, height, width]."""
        return self.fc(self.hidden(x.flatten(1)))

    def get_classifier(self) -> nn.Linear:
        """The last layer."""
        return self.fc


def _arguments(kwargs: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: kwargs[name] for name in names if kwargs.get(name) is not None}


@register_model
def lenet5(pretrained: bool = False, **kwargs: Any) -> LeNet5:
    """LeNet-5 for `timm.create_model`."""
    if pretrained:
        raise ValueError("lenet5 has no pretrained weights")
    return LeNet5(**_arguments(kwargs, "num_classes", "in_chans"))


@register_model
def mlp(pretrained: bool = False, **kwargs: Any) -> MLP:
    """A small MLP for `timm.create_model`."""
    if pretrained:
        raise ValueError("mlp has no pretrained weights")
    return MLP(**_arguments(kwargs, "num_classes", "in_chans", "img_size", "width", "depth", "norm"))


def _for_small_images(net: ResNet, in_chans: int, stride: int = 1) -> ResNet:
    """A ResNet whose 3x3 stem divides the resolution by ``stride`` only, as is usual for images of 28 to 64 pixels."""
    width: Any = net.conv1.out_channels
    net.conv1 = nn.Conv2d(in_chans, width, 3, stride=stride, padding=1, bias=False)
    net.maxpool = nn.Identity()
    nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
    return net


def _norm(norm: str) -> Any:
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}, not one of {', '.join(NORMS)}")
    return NORMS[norm]


@register_model
def resnet_small(pretrained: bool = False, norm: str = "group", stride: int = 1, **kwargs: Any) -> ResNet:
    """A ResNet of four blocks and about 164,000 parameters, with a 3x3 stem.

    Args:
        pretrained: refused: there are no weights.
        norm: ``group`` or ``batch``.
        stride: of the stem: 2 has each block see a quarter of the pixels, at about a quarter of the cost.
        kwargs: what `timm.create_model` passes on: ``num_classes``, ``in_chans``; the rest is timm's own.
    """
    if pretrained:
        raise ValueError("resnet_small has no pretrained weights")
    channels = (16, 32, 64, 64)
    arguments = _arguments(kwargs, "num_classes", "in_chans")
    net = ResNet(BLOCK, (1, 1, 1, 1), channels=channels, norm_layer=_norm(norm), **arguments)
    return _for_small_images(net, arguments.get("in_chans", 3), stride)


@register_model
def resnet34_small_images(pretrained: bool = False, norm: str = "group", **kwargs: Any) -> ResNet:
    """ResNet-34 with a 3x3 stem; ``norm``: ``group`` or ``batch``."""
    if pretrained:
        raise ValueError("resnet34_small_images has no pretrained weights")
    arguments = _arguments(kwargs, "num_classes", "in_chans")
    net = ResNet(BLOCK, (3, 4, 6, 3), norm_layer=_norm(norm), **arguments)
    return _for_small_images(net, arguments.get("in_chans", 3))


class Resized(nn.Module):
    """A network that sees its pictures in another size: pretrained weights want the one they were trained on.

    Args:
        net: the network.
        size: of the squares that it sees.
        crop: part of each side that the cut of the centre keeps.
        interpolation: ``bicubic`` or ``bilinear``, both antialiased.
    """

    def __init__(self, net: nn.Module, size: int, crop: float = 1.0, interpolation: str = "bicubic") -> None:
        super().__init__()
        self.net, self.size, self.crop, self.interpolation = net, size, crop, interpolation

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [batch, outputs] of images [batch, channels, height, width] of any size."""
        height, width = x.shape[-2:]
        scale = math.floor(self.size / self.crop) / min(height, width)
        sides = [max(self.size, round(side * scale)) for side in (height, width)]
        x = F.interpolate(x, size=sides, mode=self.interpolation, antialias=True)
        top, left = (round((side - self.size) / 2) for side in sides)
        return self.net(x[..., top : top + self.size, left : left + self.size])

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.net.get_classifier()  # pyright: ignore[reportCallIssue]


class Head(nn.Module):
    """A linear layer on what a frozen trunk gives: outputs [batch, outputs] of features [batch, features]."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.fc = nn.Linear(features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [batch, outputs]."""
        return self.fc(x)

    def get_classifier(self) -> nn.Linear:
        """The layer itself."""
        return self.fc
