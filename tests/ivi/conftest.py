"""Small networks for the tests, as fixtures that make them."""

import pytest
import torch
from torch import nn


class _LeNet(nn.Sequential):
    """LeNet-5 for 28 x 28 grey images."""

    def __init__(self, num_classes=10):
        super().__init__(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, num_classes),
        )  # fmt: skip


def _small_net(seed=0, dtype=torch.float64):
    """Convolution, batch normalization, dropout, two linear layers: [batch, 2, 6, 6] -> [batch, 3]."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(16, 5), nn.Tanh(), nn.Linear(5, 3),
    )  # fmt: skip
    return net.to(dtype)


def _images(num=8, dtype=torch.float64):
    return torch.randn(num, 2, 6, 6, dtype=dtype, generator=torch.Generator().manual_seed(7))


@pytest.fixture(autouse=True)
def _repeatable():
    torch.manual_seed(0)


@pytest.fixture
def lenet():
    return _LeNet


@pytest.fixture
def small_net():
    return _small_net


@pytest.fixture
def images():
    return _images
