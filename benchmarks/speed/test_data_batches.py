"""How much time the batch sources take, as ratios of two things timed in turn. Run with ``pytest benchmarks/speed``."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.data import Affine, StreamSource, TensorSource, load

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
needs_debian = pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs apt-get install dataset-fashion-mnist")


def ratio(ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 5) -> float:
    """Median over rounds of (CPU time of ours / of theirs), the two timed one after the other.

    CPU time, with that of ended worker processes: other programs on the machine change it little.
    """
    ours(), theirs()
    quotients = []
    for _ in range(rounds):
        seconds = []
        for action in (ours, theirs):
            gc.collect()
            start = sum(os.times()[:4])
            action()
            seconds.append(sum(os.times()[:4]) - start)
        quotients.append(seconds[0] / seconds[1])
    return statistics.median(quotients)


def lenet() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def test_a_training_epoch_against_a_bare_loop_over_tensors_in_memory(benchmark):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (6_400, 1, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (6_400,), generator=generator)
    source = TensorSource(pixels, labels, Affine(torch.tensor(1 / (255 * 0.353)), torch.tensor(-0.286 / 0.353)))
    ready = (pixels / 255 - 0.286) / 0.353
    network = lenet()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()

    def ours() -> None:
        for x, y in source.shuffled(128, 0):
            step(x, y)

    def bare() -> None:
        order = torch.randperm(len(ready))
        for start in range(0, len(ready), 128):
            index = order[start : start + 128]
            step(ready[index], labels[index])

    benchmark.extra_info["ratio"] = ratio(ours, bare)
    print(f"epoch through the batch source / bare loop: {benchmark.extra_info['ratio']:.3f} (aim: at most 1.05)")
    benchmark.pedantic(ours, rounds=1)


@needs_debian
def test_loading_fashion_mnist_a_second_time(benchmark, tmp_path, monkeypatch):
    monkeypatch.setenv("IVI_CACHE", str(tmp_path))
    start = time.perf_counter()
    load("fashion_mnist", "train"), load("fashion_mnist", "test")
    first = time.perf_counter() - start
    benchmark.pedantic(lambda: (load("fashion_mnist", "train"), load("fashion_mnist", "test")), rounds=5)
    print(f"Fashion-MNIST: first {first:.2f} s, then {benchmark.stats.stats.median:.3f} s (aim: at most 0.3 s)")


# timm's own reader leaves files to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_streaming_against_the_loader_of_timm_on_the_same_files(benchmark, tmp_path, workers):
    from PIL import Image
    from timm.data.dataset_factory import create_dataset
    from timm.data.loader import create_loader

    rng = np.random.default_rng(0)
    for row in range(160):
        folder = tmp_path / "train" / f"class{row % 4}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (16, 20, 3), dtype=np.uint8))
        coarse.resize((500, 400), Image.Resampling.BICUBIC).save(folder / f"{row:03}.jpg", quality=90)
    spec = tmp_path / "files.toml"
    spec.write_text(
        'title = "-"\nlicence = "-"\ncitation = "-"\nshape = [3, 224, 224]\nresize = true\nstream = true\n'
        'num_classes = 4\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\nevaluation = "train"\n'
        'splits.train = { examples = 160 }\n[[sources]]\nkind = "local"\nformat = "imagefolder"\npath = "."\n'
    )
    source = StreamSource(str(spec), "train", augment="crop-flip", workers=workers)
    theirs = create_loader(
        create_dataset("", root=str(tmp_path / "train"), is_training=True),
        **{"input_size": (3, 224, 224), "batch_size": 32, "is_training": True, "num_workers": workers},
        **{"use_prefetcher": False, "color_jitter": None, "re_prob": 0.0, "persistent_workers": False},
        **{"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "device": torch.device("cpu")},
    )

    def count(batches) -> int:
        return sum(len(x) for x, _ in batches)

    quotient = 1 / ratio(lambda: count(source.shuffled(32, 0)), lambda: count(theirs), rounds=3)
    benchmark.extra_info["ratio"] = quotient
    print(f"images a second, streaming / timm's loader, {workers} workers: {quotient:.2f} (aim: at least 0.9)")
    benchmark.pedantic(lambda: count(source.shuffled(32, 0)), rounds=1)
