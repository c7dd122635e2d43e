"""Does the best learning rate stay put as the network widens? Standard parametrization against maximal update."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from ivi.covariance import Covariance, LowRank, Optimizer
from ivi.parametrization import MaximalUpdate, Parametrization, Standard, initialize_, param_groups
from ivi.variationalize import variationalize

_LRS: dict[Optimizer, list[float]] = {
    "sgd": [2.0**k for k in range(-10, 0)],
    "adam": [2.0**k for k in range(-14, -4)],
}
_TITLES: dict[Optimizer, str] = {"sgd": "SGD", "adam": "Adam"}


def run_transfer(
    x: Tensor,
    y: Tensor,
    out: Path,
    fast: bool = False,
    seed: int = 0,
    covariance: Covariance = LowRank(5, scale=1.0),  # noqa: B008  frozen
    widths: Sequence[int] | None = None,
    steps: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Train variational networks over a grid of widths and learning rates; write ``transfer.json`` and figures.

    Three-layer ReLU networks whose first and last layer are random ("ends"), minibatches of 64 with one shared draw,
    SGD with momentum 0.9 and Adam; maximal update has the smallest width as its base, where it equals the standard
    parametrization. The measure is the mean training loss over the last fifth of the steps.

    Args:
        x: inputs, [N, ...]; standardized here, all numbers alike.
        y: class labels, int64 [N].
        out: directory, made if missing.
        fast: widths 64, 256, 1024 and 100 steps (minutes); else 64 ... 2048 and 500 steps. Three seeds either way.
        seed: of initialization, draws and batches.
        covariance: of the random layers.
        widths: in place of those; the first is the base of maximal update.
        steps: in place of those.
        progress: called with (runs done, runs in all).

    Returns:
        What ``transfer.json`` holds: ``widths``, and for "sgd" and "adam" their ``lrs`` and for each parametrization
        ``loss`` [widths][lrs] (null where training diverged), ``best_lr`` by width (between grid points by a parabola
        in log lr), and ``drift_octaves``, log2 of the best rate at the last width over that at the first;
        ``drift_octaves_from_256`` over that at the first width of at least 256. A best rate at an end of the grid
        is not one: then it is null, and so are the drifts that it enters.
    """
    widths = list(widths or ((64, 256, 1024) if fast else (64, 128, 256, 512, 1024, 2048)))
    steps, seeds = steps or (100 if fast else 500), 3
    flat = x.flatten(1).float()
    flat = (flat - flat.mean()) / flat.std()
    settings: dict[str, Parametrization] = {
        "standard": Standard(bias_std=0.0),
        "maximal update": MaximalUpdate(widths[0], bias_std=0.0),
    }
    result: dict[str, Any] = {"widths": widths, "steps": steps, "seeds": seeds, "examples": len(x)}
    total, done = len(_LRS) * len(settings) * len(widths) * len(_LRS["sgd"]) * seeds, 0
    for optimizer, lrs in _LRS.items():
        result[optimizer] = {"lrs": lrs}
        for name, parametrization in settings.items():
            losses = [[0.0] * len(lrs) for _ in widths]
            for row, column, repeat in product(range(len(widths)), range(len(lrs)), range(seeds)):
                run = _Run(widths[row], lrs[column], parametrization, optimizer, steps, seed + repeat)
                losses[row][column] += _train(flat, y, run, covariance) / seeds
                done += 1
                progress(done, total)
            result[optimizer][name] = _summary(losses, lrs, widths)
    out.mkdir(parents=True, exist_ok=True)
    result["figures"] = _draw(out, result, list(settings))
    (out / "transfer.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


@final
@dataclass(frozen=True)
class _Run:
    width: int
    lr: float
    parametrization: Parametrization
    optimizer: Optimizer
    steps: int
    seed: int


def _train(x: Tensor, y: Tensor, run: _Run, covariance: Covariance) -> float:
    """Mean loss over the last fifth of the steps; infinite if it ever exceeds ten times that of guessing."""
    generator = torch.Generator().manual_seed(run.seed)
    num_classes, width = int(y.max()) + 1, run.width
    layers = nn.Linear(x.shape[1], width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, num_classes)
    net = variationalize(nn.Sequential(*layers), covariance, noise="shared", example=x[:1], generator=generator)
    initialize_(net, run.parametrization, generator)
    groups = param_groups(net, run.lr, run.parametrization, run.optimizer)
    sgd = run.optimizer == "sgd"
    optimizer = torch.optim.SGD(groups, lr=run.lr, momentum=0.9) if sgd else torch.optim.Adam(groups, lr=run.lr)
    tail: list[float] = []
    for step in range(run.steps):
        batch = torch.randint(len(x), (64,), generator=generator)
        loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
        value = loss.item()
        if not value < 10 * math.log(num_classes):
            return math.inf
        if step >= 0.8 * run.steps:
            tail.append(value)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return math.fsum(tail) / len(tail)


def _summary(losses: list[list[float]], lrs: Sequence[float], widths: Sequence[int]) -> dict[str, Any]:
    best = [_best_lr(row, lrs) for row in losses]
    wide = next((rate for rate, width in zip(best, widths, strict=True) if width >= 256), best[-1])
    shown = [[value if math.isfinite(value) else None for value in row] for row in losses]
    return {
        "loss": shown,
        "best_lr": best,
        "drift_octaves": _octaves(best[0], best[-1]),
        "drift_octaves_from_256": _octaves(wide, best[-1]),
    }


def _octaves(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else math.log2(end / start)


def _best_lr(losses: Sequence[float], lrs: Sequence[float]) -> float | None:
    """Lowest point of the parabola through the best grid point and its neighbours, in log2 of the rate.

    None at an end of the grid: the best rate may lie beyond it.
    """
    index = min(range(len(lrs)), key=lambda i: losses[i])
    if not 0 < index < len(lrs) - 1:
        return None
    left, middle, right = losses[index - 1 : index + 2]
    if not (math.isfinite(left) and math.isfinite(right)) or left + right - 2 * middle <= 0:
        return lrs[index]
    shift = 0.5 * (left - right) / (left + right - 2 * middle)
    return lrs[index] * (lrs[index + 1] / lrs[index]) ** shift


def _draw(out: Path, result: dict[str, Any], names: list[str]) -> list[str]:
    # Not pyplot: a library must not touch the caller's current figure nor choose a backend.
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure = Figure(figsize=(8.5, 6.8), layout="constrained")
    panels = figure.subplots(len(_LRS), len(names), sharex="row", sharey=True, squeeze=False)
    colors = colormaps["viridis"].resampled(len(result["widths"]) + 1)
    for (row, optimizer), (column, name) in product(enumerate(_LRS), enumerate(names)):
        axes, curves = panels[row][column], result[optimizer][name]
        for index, width in enumerate(result["widths"]):
            losses = [math.nan if loss is None else loss for loss in curves["loss"][index]]
            axes.plot(
                _LRS[optimizer],
                losses,
                "o-",
                ms=3,
                lw=1.2,
                color=colors(index),
                label="" if row or column else f"width {width}",
            )
            if curves["best_lr"][index] is not None:
                axes.axvline(curves["best_lr"][index], color=colors(index), ls=":", lw=1)
        drift = f"best rate drifts by {_words(curves['drift_octaves'])}, {_words(curves['drift_octaves_from_256'])}"
        axes.set_title(f"{_TITLES[optimizer]}, {name}\n{drift} from 256 on", fontsize=9)
        axes.set_xscale("log", base=2)
        axes.set(yscale="log", xlabel="learning rate", ylabel="" if column else "training loss, nats")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    panels[0][0].plot([], [], color="grey", ls=":", lw=1, label="best rate")
    figure.legend(loc="outside lower center", ncols=len(result["widths"]) + 1, fontsize=8, frameon=False)
    files = ["transfer.png", "transfer.pdf"]
    for file in files:
        figure.savefig(out / file, dpi=200)
    return files


def _words(octaves: float | None) -> str:
    return "?" if octaves is None else f"{octaves:+.1f} octaves"
