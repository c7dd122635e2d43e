"""How long the 75 corrupted copies of a test set take."""

from __future__ import annotations

import pytest
import torch

from benchmarks.data import Images
from benchmarks.data.shift.corruptions import corrupt
from benchmarks.data.spec import CORRUPTIONS, SEVERITIES


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_five_severities_of_a_thousand_small_grey_images(benchmark, corruption):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (1000, 1, 28, 28), generator=generator, dtype=torch.uint8)
    images = Images(pixels, None, ())
    benchmark.pedantic(lambda: [corrupt(images, corruption, severity) for severity in SEVERITIES], rounds=3)
    print(f"{corruption}: {10 * benchmark.stats.stats.median:.1f} s for 10,000 images at 5 severities")
