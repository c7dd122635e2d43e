"""The learning-rate sweep: what it returns and what it calls best."""

import json
import math

import pytest
import torch

from ivi.transfer import _best_lr, _summary, run_transfer


@pytest.mark.slow
def test_a_sweep_writes_its_numbers_and_a_figure(tmp_path):
    x = torch.randn(200, 4, 4)
    y = x.flatten(1)[:, :3].argmax(1)
    seen = []
    result = run_transfer(x, y, tmp_path, fast=True, widths=(8, 16), steps=20, progress=lambda *n: seen.append(n))
    assert json.loads((tmp_path / "transfer.json").read_text()) == result
    assert all((tmp_path / name).stat().st_size > 10_000 for name in result["figures"])
    assert seen[-1] == (240, 240)
    for optimizer in ("sgd", "adam"):
        standard, maximal = result[optimizer]["standard"], result[optimizer]["maximal update"]
        # At the base width the two are one; above it they are not.
        assert standard["loss"][0] == pytest.approx(maximal["loss"][0])
        assert standard["loss"][1] != pytest.approx(maximal["loss"][1])
        rates = standard["best_lr"]
        drift = None if None in rates else pytest.approx(math.log2(rates[1] / rates[0]))
        assert standard["drift_octaves"] == drift


def test_the_best_rate_lies_at_the_bottom_of_the_parabola():
    lrs = [2.0**k for k in range(5)]
    assert _best_lr([(k - 2.3) ** 2 for k in range(5)], lrs) == pytest.approx(2**2.3)
    assert _best_lr([3, 2, 1, math.inf, math.inf], lrs) == 4


def test_a_best_rate_at_an_end_of_the_grid_is_no_best_rate_and_has_no_drift():
    lrs, falling, inside = [1.0, 2.0, 4.0], [3.0, 2.0, 1.0], [2.0, 1.0, 2.0]
    assert _best_lr(falling, lrs) is None and _best_lr(falling[::-1], lrs) is None
    summary = _summary([inside, inside, falling], lrs, [64, 256, 1024])
    assert summary["best_lr"] == [2.0, 2.0, None]
    assert summary["drift_octaves"] is None and summary["drift_octaves_from_256"] is None
    assert _summary([inside, inside], lrs, [64, 256])["drift_octaves"] == 0
