"""Small problems of every kind, held in memory: what methods are tested on without the harness.

With IVI_TEST_DEVICE=cuda they lie on a GPU.
"""

import os
from dataclasses import dataclass
from functools import partial

import timm
import torch
from torch import nn

from baselines.checks import Subject
from baselines.likelihood import Categorical, Gaussian
from baselines.protocol import Problem
from baselines.recipe import Recipe
from baselines.seeds import Seeds

CLASSES = 4
SIDE = 8
CPU = torch.device("cpu")
DEVICE = torch.device(os.environ.get("IVI_TEST_DEVICE", "cpu"))
torch.backends.cudnn.allow_tf32 = False  # tests hold outputs to the rounding of single precision


@dataclass(frozen=True, eq=False)
class Memory:
    """Labelled examples in two tensors."""

    x: torch.Tensor
    y: torch.Tensor

    @property
    def num_examples(self):
        return len(self.x)

    def shuffled(self, batch_size, seed):
        order = torch.randperm(len(self.x), generator=torch.Generator().manual_seed(seed))
        for index in order.split(batch_size)[: max(1, len(self.x) // batch_size)]:
            yield self.x[index], self.y[index]

    def ordered(self, batch_size):
        yield from zip(self.x.split(batch_size), self.y.split(batch_size), strict=True)


class Dense(nn.Module):
    """A network with batch normalization on flattened inputs. It has no `get_classifier`."""

    def __init__(self, outputs, inputs=SIDE**2):
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 24, bias=False), nn.BatchNorm1d(24), nn.ReLU())
        self.fc = nn.Linear(24, outputs)

    def forward(self, x):
        return self.fc(self.hidden(x))


class Plain(nn.Module):
    """A network without normalization."""

    def __init__(self, outputs):
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 24), nn.Tanh())
        self.fc = nn.Linear(24, outputs)

    def forward(self, x):
        return self.fc(self.hidden(x))


class Conv(nn.Module):
    """A convolutional network in the channels-last layout that the harness uses."""

    def __init__(self, outputs, norm=partial(nn.GroupNorm, 4)):  # noqa: B008
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.norm, self.act1, self.act2 = norm(16), nn.ReLU(), nn.ReLU()
        self.fc = nn.Linear(16 * (SIDE // 2) ** 2, outputs)
        self.to(memory_format=torch.channels_last)

    def forward(self, x):
        x = x.contiguous(memory_format=torch.channels_last)
        return self.fc(self.act2(self.norm(self.conv2(self.act1(self.conv1(x))))).flatten(1))


def vit(outputs):
    """A vision transformer of timm."""
    sizes = {"img_size": SIDE, "patch_size": 4, "depth": 1, "embed_dim": 24, "num_heads": 2}
    return timm.create_model("vit_tiny_patch16_224", in_chans=1, num_classes=outputs, **sizes)


NETWORKS = {"dense": Dense, "plain": Plain, "conv": Conv, "conv_bn": partial(Conv, norm=nn.BatchNorm2d), "vit": vit}
RECIPE = Recipe(epochs=6, batch_size=16, lr=0.05, weight_decay=1e-4, clip_norm=2.0)
RECIPES = {"vit": Recipe(epochs=6, batch_size=16, lr=5e-3, optimizer="adamw", weight_decay=1e-2)}


def images(kind, count, seed):
    """Noisy copies of one pattern for each class; a number is how strongly a pattern shows, in standardized units."""
    generator = torch.Generator().manual_seed(7)
    patterns = torch.randn(CLASSES, 1, SIDE, SIDE, generator=generator)
    generator.manual_seed(seed)
    noise = torch.randn(count, 1, SIDE, SIDE, generator=generator)
    if kind == "categorical":
        y = torch.randint(CLASSES, (count,), generator=generator)
        return Memory((0.5 * patterns[y] + noise).to(DEVICE), y.to(DEVICE))
    y = torch.randn(count, generator=generator)
    return Memory((0.5 * y[:, None, None, None] * patterns[0] + noise).to(DEVICE), y.to(DEVICE))


def problem(kind="categorical", network="dense", method=None, seed=0, count=160, **recipe):
    """A problem of one kind and network, as ``method`` is given it."""
    likelihood = Categorical(CLASSES) if kind == "categorical" else Gaussian()
    build = NETWORKS.get(network, network)

    def make_model(weights):
        with torch.random.fork_rng():
            torch.manual_seed(weights)
            return build(likelihood.outputs).to(DEVICE)

    whole = Problem(
        likelihood=likelihood,
        example=torch.zeros(1, 1, SIDE, SIDE, device=DEVICE),
        train=images(kind, count, 1),
        validation=images(kind, 96, 2),
        recipe=RECIPES.get(network, RECIPE).changed(recipe),
        device=DEVICE,
        seeds=Seeds.of(f"{kind}-{network}", seed),
        make_model=make_model,
    )
    return whole if method is None else whole.of(method)


def subject(method, kind="categorical", network="dense", **recipe):
    """The method under examination on such a problem."""
    make = partial(problem, kind, network, **recipe)
    return Subject(method, lambda method, seed: make(method, seed), images(kind, 60, 3).x)
