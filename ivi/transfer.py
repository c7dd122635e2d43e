"""Does the best learning rate stay put as the network widens? Standard parametrization against maximal update."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ivi.covariance import Covariance, LowRank
from ivi.parametrization import MaximalUpdate, Parametrization, Standard, initialize_, param_groups
from ivi.variationalize import variationalize


def run_transfer(
    x: Tensor,
    y: Tensor,
    out: Path,
    fast: bool = False,
    seed: int = 0,
    covariance: Covariance = LowRank(5),  # noqa: B008  frozen
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Train variational networks over a grid of widths and learning rates; write ``transfer.json`` and figures.

    Three-layer ReLU networks whose first and last layer are random ("ends"), SGD with momentum 0.9 on minibatches of
    64 with one shared draw; maximal update has the smallest width as its base, where it equals the standard
    parametrization. The measure is the mean training loss over the last fifth of the steps.

    Args:
        x: inputs, [N, ...]; standardized here, as one vector each.
        y: class labels, int64 [N].
        out: directory, made if missing.
        fast: widths 64, 256, 1024 and 150 steps for one seed (minutes); else 64 ... 2048, 500 steps, three seeds.
        seed: of initialization, draws and batches.
        covariance: of the random layers.
        progress: called with (runs done, runs in all).

    Returns:
        What ``transfer.json`` holds: ``widths``, ``lrs``, and for each parametrization ``loss`` [widths][lrs] (null
        where training diverged), ``best_lr`` by width (between grid points by a parabola in log lr) and
        ``drift_octaves``, log2 of the last over the first best rate.
    """
    widths = [64, 256, 1024] if fast else [64, 128, 256, 512, 1024, 2048]
    steps, seeds = (150, 1) if fast else (500, 3)
    lrs = [2.0**k for k in range(-10, 1)]
    flat = x.flatten(1).float()
    flat = (flat - flat.mean()) / flat.std()
    settings: dict[str, Parametrization] = {
        "standard": Standard(bias_std=0.0),
        "maximal update": MaximalUpdate(widths[0], bias_std=0.0),
    }
    total, done = len(settings) * len(widths) * len(lrs) * seeds, 0
    result: dict[str, Any] = {"widths": widths, "lrs": lrs, "steps": steps, "seeds": seeds, "examples": len(x)}
    for name, parametrization in settings.items():
        losses = []
        for width in widths:
            row = []
            for lr in lrs:
                runs = []
                for repeat in range(seeds):
                    runs.append(_train(flat, y, width, lr, parametrization, covariance, steps, seed + repeat))
                    done += 1
                    progress(done, total)
                row.append(math.fsum(runs) / seeds)
            losses.append(row)
        result[name] = _summary(losses, lrs)
    out.mkdir(parents=True, exist_ok=True)
    result["figures"] = _draw(out, result, list(settings))
    (out / "transfer.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


def _train(
    x: Tensor,
    y: Tensor,
    width: int,
    lr: float,
    parametrization: Parametrization,
    covariance: Covariance,
    steps: int,
    seed: int,
) -> float:
    """Mean loss over the last fifth of the steps; infinite if it ever exceeds ten times that of guessing."""
    generator = torch.Generator().manual_seed(seed)
    num_classes = int(y.max()) + 1
    layers = nn.Linear(x.shape[1], width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, num_classes)
    net = variationalize(nn.Sequential(*layers), covariance, example=x[:1], generator=generator)
    initialize_(net, parametrization, generator)
    optimizer = torch.optim.SGD(param_groups(net, lr, parametrization), lr=lr, momentum=0.9)
    tail: list[float] = []
    for step in range(steps):
        batch = torch.randint(len(x), (64,), generator=generator)
        loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
        value = loss.item()
        if not value < 10 * math.log(num_classes):
            return math.inf
        if step >= 0.8 * steps:
            tail.append(value)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return math.fsum(tail) / len(tail)


def _summary(losses: list[list[float]], lrs: Sequence[float]) -> dict[str, Any]:
    best = [_best_lr(row, lrs) for row in losses]
    drift = math.log2(best[-1] / best[0])
    shown = [[value if math.isfinite(value) else None for value in row] for row in losses]
    return {"loss": shown, "best_lr": best, "drift_octaves": drift}


def _best_lr(losses: Sequence[float], lrs: Sequence[float]) -> float:
    """Lowest point of the parabola through the best grid point and its neighbours, in log2 of the rate."""
    index = min(range(len(lrs)), key=lambda i: losses[i])
    if not 0 < index < len(lrs) - 1:
        return lrs[index]
    left, middle, right = losses[index - 1 : index + 2]
    if not (math.isfinite(left) and math.isfinite(right)) or left + right - 2 * middle <= 0:
        return lrs[index]
    shift = 0.5 * (left - right) / (left + right - 2 * middle)
    return lrs[index] * (lrs[index + 1] / lrs[index]) ** shift


def _draw(out: Path, result: dict[str, Any], names: list[str]) -> list[str]:
    # Not pyplot: a library must not touch the caller's current figure nor choose a backend.
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 3.6), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True)
    colors = colormaps["viridis"].resampled(len(result["widths"]) + 1)
    for axes, name in zip(panels, names, strict=True):
        rows = zip(result["widths"], result[name]["loss"], result[name]["best_lr"], strict=True)
        for index, (width, losses, best) in enumerate(rows):
            finite = [(lr, loss) for lr, loss in zip(result["lrs"], losses, strict=True) if loss is not None]
            axes.plot(*zip(*finite, strict=True), "o-", ms=3, lw=1.2, color=colors(index), label=f"width {width}")
            axes.axvline(best, color=colors(index), ls=":", lw=1)
        axes.set_xscale("log", base=2)
        axes.set(title=f"{name}: drift {result[name]['drift_octaves']:+.1f} octaves", xlabel="learning rate")
    panels[0].set(ylabel="training loss, last fifth of the steps", yscale="log")
    panels[0].legend(fontsize=7)
    files = ["transfer.png", "transfer.pdf"]
    for file in files:
        figure.savefig(out / file, dpi=200)
    return files
