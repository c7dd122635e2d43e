"""Which initial std suits the covariance of implicit VI: accuracy and NLL beside the plain network, by seed.

Run with ``python -m benchmarks.studies.prior_scale --net vit --cases default --seeds 3``: one line of JSON per run.
The evidence of docs/decisions/0013-the-scale-of-the-prior.md. One core; seconds to minutes a run.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import benchmarks.models  # noqa: F401  registers its networks
import ivi
from ivi.layers import RandomLayer, Unit
from ivi.sampler import Noise
from ivi.variationalize import Layers

FASHION = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Case:
    """One setting of the covariance; rank 0 is the plain network."""

    rank: int = 10
    scale: float = 0.1
    unit: str = "own"
    noise: str = "antithetic"
    layers: str = "ends"


@dataclass(frozen=True)
class Net:
    """A network, its data and the recipe that trains its plain form."""

    make: Callable[[], nn.Module]
    data: str
    epochs: int
    batch: int
    lr: float
    optimizer: str = "sgd"
    decay: float = 5e-4


def _convnext() -> nn.Module:
    return timm.create_model("convnext_atto", num_classes=10, depths=(1, 1, 2, 1), dims=(24, 48, 96, 192), patch_size=2)


def _vit() -> nn.Module:
    return timm.create_model("vit_tiny_patch16_224", num_classes=10, img_size=32, patch_size=8, depth=2)


def _named(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, num_classes=10, in_chans=1, **options)


NETS = {
    "vit": Net(_vit, "digits", 6, 32, 1e-3, "adamw", 0.05),
    "convnext": Net(_convnext, "digits", 6, 32, 1e-3, "adamw", 0.05),
    "lenet": Net(_named("lenet5"), "fashion", 5, 32, 0.05),
    "resnet_gn": Net(_named("resnet_small", norm="group", stride=2), "fashion", 5, 32, 0.05),
    "resnet_bn": Net(_named("resnet_small", norm="batch", stride=2), "fashion", 5, 32, 0.05),
}
PLAIN = Case(rank=0, noise="shared")
CASES = {
    "default": [PLAIN, Case()],
    "grid": [
        PLAIN,
        *(Case(scale=scale, noise=noise) for noise, scale in product(("antithetic", "shared"), (0.1, 0.3, 1.0))),
        Case(scale=1.0, unit="fan_in"),
        Case(scale=1.0, unit="fan_in", noise="shared"),
        Case(scale=1.0, unit="published", noise="shared"),
    ],
    "layers": [Case(scale=s, layers=layers) for layers, s in product(("last", "all"), (0.1, 0.3, 1.0))],
}


@dataclass(frozen=True)
class Data:
    """Images and labels for training and for testing."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def load(name: str, num_train: int = 5000, num_test: int = 2000) -> Data:
    """``digits``: scikit-learn's, 1,297 and 500 at 32 x 32 in 3 channels. ``fashion``: the first of Fashion-MNIST."""
    if name == "digits":
        from sklearn.datasets import load_digits

        raw = cast(Any, load_digits())
        x = torch.tensor(raw.images / 16, dtype=torch.float32).unsqueeze(1)
        x = F.interpolate(x, size=(32, 32), mode="bilinear").expand(-1, 3, -1, -1).contiguous()
        x, y = (x - x[:1297].mean()) / x[:1297].std(), torch.tensor(raw.target)
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
        return Data(x[order[:1297]], y[order[:1297]], x[order[1297:]], y[order[1297:]])
    parts = [*_fashion("train", num_train), *_fashion("t10k", num_test)]
    mean, std = parts[0].mean(), parts[0].std()
    return Data((parts[0] - mean) / std, parts[1], (parts[2] - mean) / std, parts[3])


def _fashion(part: str, num: int) -> tuple[Tensor, Tensor]:
    import gzip

    def numbers(kind: str, offset: int) -> np.ndarray:
        path = next(FASHION.glob(f"{part}-{kind}-ubyte*"))
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return np.frombuffer(raw, np.uint8, offset=offset)

    x = numbers("images-idx3", 16).reshape(-1, 1, 28, 28)[:num]
    return torch.tensor(x, dtype=torch.float32) / 255, torch.tensor(numbers("labels-idx1", 8)[:num], dtype=torch.int64)


def batches(data: Data, net: Net, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of the whole training, in an order that ``seed`` decides."""
    generator = torch.Generator().manual_seed(1000 + seed)
    for _ in range(net.epochs):
        order = torch.randperm(len(data.x), generator=generator)
        for index in order[: len(order) // net.batch * net.batch].split(net.batch):
            yield data.x[index], data.y[index]


def fit(net: Net, case: Case, data: Data, seed: int) -> nn.Module:
    """Train by the network's recipe: warm-up over a tenth of the steps, then cosine."""
    torch.manual_seed(seed)
    model = net.make()
    if case.rank:
        covariance = ivi.LowRank(case.rank, case.scale)
        noise, unit, layers = cast(Noise, case.noise), cast(Unit, case.unit), cast(Layers, case.layers)
        generator = torch.Generator().manual_seed(seed)
        ivi.variationalize(model, covariance, layers, noise, data.x[:1], generator, unit)
    adam = net.optimizer == "adamw"
    groups = ivi.param_groups(model, net.lr, optimizer="adam" if adam else "sgd")
    sgd = partial(torch.optim.SGD, momentum=0.9)
    optimizer = (torch.optim.AdamW if adam else sgd)(groups, net.lr, weight_decay=net.decay)
    total = net.epochs * (len(data.x) // net.batch)
    warm = total // 10
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: (t + 1) / warm if t < warm else 0.5 * (1 + math.cos(math.pi * (t - warm) / (total - warm)))
    )
    model.train()
    for x, y in batches(data, net, seed):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def log_probabilities(model: nn.Module, x: Tensor, draws: int = 32) -> Tensor:
    """Of the plain network or of 32 draws, [images, classes]."""
    with torch.inference_mode():
        if not any(isinstance(m, RandomLayer) for m in model.modules()):
            return torch.cat([model(part) for part in x.split(500)]).log_softmax(-1)
        noise = ivi.sample_draws(model, draws, torch.Generator().manual_seed(7))
        logits = torch.cat([ivi.predict(model, part, noise) for part in x.split(500)], 1)
        return logits.log_softmax(-1).logsumexp(0) - math.log(draws)


def run(name: str, case: Case, seed: int) -> dict[str, Any]:
    """Train once; accuracy and NLL (nats) on the test images."""
    net = NETS[name]
    data = load(net.data)
    logp = log_probabilities(fit(net, case, data, seed), data.x_test)
    accuracy = (logp.argmax(-1) == data.y_test).float().mean().item()
    return {
        "net": name,
        **asdict(case),
        "seed": seed,
        "accuracy": accuracy,
        "nll": F.nll_loss(logp, data.y_test).item(),
    }


def main() -> None:
    """Print one line of JSON for each run asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", choices=NETS, nargs="+", default=list(NETS))
    parser.add_argument("--cases", choices=CASES, default="default")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name, seed, case in product(asked.net, range(asked.seeds), CASES[asked.cases]):
        sys.stdout.write(json.dumps(run(name, case, seed)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
