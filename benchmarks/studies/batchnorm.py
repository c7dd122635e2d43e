"""Which statistics batch normalization should predict with under random weights: three kinds, on the small ResNet.

Run with ``python -m benchmarks.studies.batchnorm --seeds 2``: one line of JSON per network trained.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import ivi
from benchmarks.studies.prior_scale import NETS, Case, Data, fit, load, log_probabilities


def run(case: Case, seed: int, epochs: int = 4, num_train: int = 2500) -> dict[str, Any]:
    """Accuracy and NLL of the mean weights and of 32 draws, by the statistics they are predicted with."""
    data = load("fashion", num_train, 1000)
    model = fit(replace(NETS["resnet_bn"], epochs=epochs), case, data, seed)
    draws = ivi.seeded_draws(model, 32, seed=7)
    result: dict[str, Any] = {"scale": case.scale, "unit": case.unit, "noise": case.noise, "seed": seed}
    for name, given in (("as trained", ()), ("mean weights", (None,)), ("draws", (draws,))):
        net = copy.deepcopy(model)
        for statistics in given:
            ivi.update_bn(net, data.x.split(64) * 2, statistics)
        result[name] = _scores(net, data)
    return result


def _scores(net: nn.Module, data: Data) -> dict[str, list[float]]:
    with torch.inference_mode():
        mean = net(data.x_test).log_softmax(-1)
    return {"mean": _score(mean, data.y_test), "32 draws": _score(log_probabilities(net, data.x_test), data.y_test)}


def _score(logp: Tensor, y: Tensor) -> list[float]:
    accuracy = (logp.argmax(-1) == y).float().mean().item()
    return [round(accuracy, 4), round(F.nll_loss(logp, y).item(), 4)]


def main() -> None:
    """Print one line of JSON for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cases = [Case(), Case(scale=1.0, unit="fan_in", noise="shared")]
    for seed, case in product(range(asked.seeds), cases):
        sys.stdout.write(json.dumps(run(case, seed)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
