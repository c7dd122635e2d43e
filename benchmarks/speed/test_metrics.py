"""How fast a large run is scored: 1,000,000 x 10 predictions and four OOD sets of 100,000, and in how much memory.

Run with: pytest benchmarks/speed/test_metrics.py
"""

from __future__ import annotations

import resource
import subprocess
import sys

import numpy as np
import pytest

from leaderboard.metrics import aupr_in, aurc, auroc, ece, ece_equal_mass
from leaderboard.predictions import AnyPredictions, Categorical, Gaussian
from leaderboard.scoring import score
from leaderboard.statistics import item_interval

SECONDS, BYTES = 6.0, 1.5e9


def predictions(rng: np.random.Generator, n: int, labelled: bool = True, classes: int = 10) -> Categorical:
    logits = rng.normal(size=(n, classes)).astype(np.float32) * 3
    labels = rng.integers(0, classes, n)
    if labelled:
        logits[np.arange(n), labels] += 6
    lse = np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    log_probs = logits - lse
    entropy = -np.sum(np.exp(log_probs) * log_probs, axis=1)
    return Categorical(log_probs, entropy * np.float32(0.9), -lse[:, 0], labels if labelled else None)


def large_run() -> dict[str, AnyPredictions]:
    rng = np.random.default_rng(0)
    sets = {"validation": predictions(rng, 10_000), "test": predictions(rng, 1_000_000)}
    foreign = ("ood_near/a", "ood_near/b", "ood_far/c", "ood_far/d")
    return sets | {name: predictions(rng, 100_000, labelled=False) for name in foreign}


@pytest.fixture(scope="module")
def sets() -> dict[str, AnyPredictions]:
    return large_run()


def test_all_metrics_of_a_large_run(benchmark, sets):
    benchmark.pedantic(score, (sets,), rounds=3, warmup_rounds=1)
    assert benchmark.stats["min"] <= SECONDS


def test_a_large_run_is_scored_in_little_memory():
    code = f"import runpy; runpy.run_path({__file__!r})['report_peak']()"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    print(f"peak resident memory of making and scoring a large run: {int(out) / 1e9:.2f} GB")
    assert int(out) <= BYTES


def report_peak() -> None:
    score(large_run())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


@pytest.mark.parametrize("metric", [ece, ece_equal_mass, aurc])
def test_one_metric(benchmark, sets, metric):
    benchmark.pedantic(metric, (sets["test"].log_probs, sets["test"].labels), rounds=3)


@pytest.mark.parametrize("metric", [auroc, aupr_in])
def test_one_ood_metric(benchmark, sets, metric):
    benchmark.pedantic(metric, (sets["test"].energy, sets["ood_far/c"].energy), rounds=3)


def test_1000_classes(benchmark):
    one = predictions(np.random.default_rng(0), 50_000, classes=1000)
    benchmark.pedantic(score, ({"validation": one, "test": one},), rounds=1)


def test_the_bootstrap_over_10_000_items(benchmark):
    items = np.random.default_rng(0).random((2, 10_000))
    benchmark.pedantic(item_interval, tuple(items), rounds=3)


def test_a_million_predicted_numbers(benchmark):
    rng = np.random.default_rng(0)
    mean, labels = rng.normal(size=(2, 1_000_000)).astype(np.float32)
    variance = np.exp(rng.normal(size=1_000_000)).astype(np.float32)
    one = Gaussian(mean, variance, variance * np.float32(0.5), labels)
    benchmark.pedantic(score, ({"validation": one, "test": one, "ood_far/a": one},), rounds=1)
