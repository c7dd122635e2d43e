"""The theory on two linear problems, run and drawn: where optimizers end, and where the closed forms say they end."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ivi.linear import Classification, Gradient, MakeOptimizer, Posterior, Regression, descend, wasserstein2

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CURVE = torch.linspace(-math.pi, math.pi, 241, dtype=torch.float64)


def run_theory(out: Path, seed: int = 0) -> dict[str, Any]:
    """Run every optimizer on overparametrized problems; write ``theory.json``, ``theory.png`` and ``theory.pdf``.

    Regression: 8 noisy points, 40 Fourier features, a rank-10 Gaussian over the weights. Classification: 8 points of
    two classes in 16 dimensions. Double precision; under a minute on one core.

    Args:
        out: directory, made if missing.
        seed: of data, priors and noise.

    Returns:
        What ``theory.json`` holds. ``regression``: the least possible W2² to the prior, and for each optimizer its
        distance to the closed-form mean and factor, its W2² to the prior and its expected loss. ``classification``:
        for growing numbers of steps the direction error to the maximum margin, the drift in the null space (of the
        mean: in units of its length), and the size of X S at the support vectors, where it vanishes, and at the other
        examples, whose gradient dies out before it does. ``figures``: file names.
    """
    generator = torch.Generator().manual_seed(seed)
    task = _curve_fitting(generator)
    fits = _fit(task.problem, task.prior, generator)
    limit, least = task.problem.limit(task.prior), task.problem.least_wasserstein2(task.prior).item()
    optimizers = {
        name: {
            "mean_error": (q.mean - limit.mean).norm().item(),
            "factor_error": (q.factor - limit.factor).norm().item(),
            "wasserstein2": wasserstein2(q, task.prior).item(),
            "expected_loss": task.problem.expected_loss(q).item(),
        }
        for name, q in fits.items()
    }
    result: dict[str, Any] = {
        "seed": seed,
        "regression": {"least_wasserstein2": least, "optimizers": optimizers},
        "classification": _classify(generator),
    }
    out.mkdir(parents=True, exist_ok=True)
    z = torch.randn(task.prior.factor.shape[1], 25, generator=generator, dtype=torch.float64)
    members = task.prior.mean.unsqueeze(1) + task.prior.factor @ z
    result["figures"] = _draw(out, task, fits["SGD, one draw"], members, result)
    (out / "theory.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


class _CurveFitting(NamedTuple):
    problem: Regression
    prior: Posterior
    points: Tensor


def _features(inputs: Tensor, num_frequencies: int = 20) -> Tensor:
    """Fourier features with weights that fall with frequency, [N, 2 num_frequencies]."""
    frequency = torch.arange(1, num_frequencies + 1, dtype=inputs.dtype)
    size = 1.5 / (1 + (frequency / 4) ** 2)
    angle = inputs.unsqueeze(1) * frequency
    return torch.cat([angle.cos() * size, angle.sin() * size], 1) / math.sqrt(2)


def _curve_fitting(generator: torch.Generator) -> _CurveFitting:
    points = torch.tensor([-2.4, -2.0, -1.5, -1.1, 0.5, 0.9, 1.4, 1.9], dtype=torch.float64)
    targets = points.sin() + 0.1 * torch.randn(len(points), generator=generator, dtype=torch.float64)
    features = _features(points)
    size = features.shape[1]
    factor = torch.randn(size, 10, generator=generator, dtype=torch.float64) / math.sqrt(10)
    prior = Posterior(torch.zeros(size, dtype=torch.float64), factor)
    return _CurveFitting(Regression(features, targets), prior, points)


def _fit(problem: Regression, prior: Posterior, generator: torch.Generator) -> dict[str, Posterior]:
    lr, rank = problem.stable_lr(), prior.factor.shape[1]
    one_draw = problem.one_draw_gradient(4, generator)
    runs: dict[str, tuple[Gradient, MakeOptimizer, int]] = {
        "GD": (problem.gradient, partial(torch.optim.SGD, lr=lr), 2_000),
        "GD + momentum": (problem.gradient, partial(torch.optim.SGD, lr=lr, momentum=0.9), 2_000),
        "SGD, one draw": (one_draw, partial(torch.optim.SGD, lr=lr / (rank + 3)), 20_000),
        "Adam": (problem.gradient, partial(torch.optim.Adam, lr=0.01), 10_000),
    }
    return {name: descend(gradient, prior, make, steps) for name, (gradient, make, steps) in runs.items()}


def _classify(generator: torch.Generator) -> list[dict[str, float]]:
    x = torch.randn(8, 16, generator=generator, dtype=torch.float64)
    problem = Classification(x, torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(4))
    prior = Posterior(*(0.3 * torch.randn(16, *s, generator=generator, dtype=torch.float64) for s in ((), (4,))))
    margin, q, done = problem.max_margin_direction(), prior, 0
    null_prior = Posterior(*(problem.null_projection(part) for part in prior))
    margins = problem.labels * (x @ margin)
    support = margins < margins.min() * (1 + 1e-9)
    optimizer, rows = partial(torch.optim.SGD, lr=1 / x.square().sum(1).max().item()), []
    for steps in (100, 300, 1_000, 3_000, 10_000, 30_000):
        q, done = descend(problem.gradient, q, optimizer, steps - done), steps
        null = Posterior(*(problem.null_projection(part) for part in q))
        seen = q.mean - null.mean
        rows.append(
            {
                "steps": steps,
                "direction_error": (seen / seen.norm() - margin).norm().item(),
                "null_mean_drift": ((null.mean - null_prior.mean).norm() / q.mean.norm()).item(),
                "null_factor_drift": (null.factor - null_prior.factor).norm().item(),
                "std_at_support": (x[support] @ q.factor).norm().item(),
                "std_at_others": (x[~support] @ q.factor).norm().item(),
            }
        )
    return rows


def _draw(out: Path, task: _CurveFitting, fitted: Posterior, members: Tensor, result: dict[str, Any]) -> list[str]:
    # Not pyplot: a library must not touch the caller's current figure nor choose a backend.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.4), layout="constrained")
    panels = figure.subplot_mosaic([["prior", "posterior", "posterior"], ["distance", "distance", "direction"]])
    _draw_functions(panels["prior"], task, task.prior, members, "draws of the prior")
    panels["prior"].set(title="(a) Before training")
    trained = _ensemble(task.problem, members)
    _draw_functions(panels["posterior"], task, fitted, trained, "the same draws, each trained as a plain linear model")
    panels["posterior"].set(title="(b) After training on the expected loss alone (SGD, one draw per step)")
    low, high = (bound for bound in zip(*(panels[n].get_ylim() for n in ("prior", "posterior")), strict=True))
    for name in ("prior", "posterior"):
        panels[name].set(ylim=(min(low), max(high)), xlabel="input", ylabel="output")
    _draw_distances(panels["distance"], **result["regression"])
    _draw_classification(panels["direction"], result["classification"])
    names = ["theory.png", "theory.pdf"]
    for name in names:
        figure.savefig(out / name, dpi=200)
    return names


def _draw_classification(axes: Axes, rows: list[dict[str, float]]) -> None:
    labels = {
        "direction_error": "mean: distance to\nmax-margin direction",
        "std_at_support": "|X S| at\nsupport vectors",
    }
    for marker, (key, label) in zip("os", labels.items(), strict=True):
        axes.loglog([row["steps"] for row in rows], [row[key] for row in rows], f"{marker}-", ms=4, label=label)
    axes.set(title="(d) Classification", xlabel="steps")
    axes.legend(fontsize=7, loc="lower left", frameon=False)


def _ensemble(problem: Regression, start: Tensor) -> Tensor:
    """Weights of linear models trained by gradient descent from ``start``, [P, members]."""
    weights, lr = start.clone(), problem.stable_lr()
    for _ in range(2_000):
        weights -= lr * (problem.x.T @ (problem.x @ weights - problem.y.unsqueeze(1)))
    return weights


def _draw_functions(axes: Axes, task: _CurveFitting, q: Posterior, weights: Tensor, label: str) -> None:
    curve = _features(_CURVE)
    middle, width = curve @ q.mean, 2 * (curve @ q.factor).norm(dim=1)
    axes.fill_between(_CURVE, middle - width, middle + width, color="C0", alpha=0.25, lw=0, label="q: ± 2 std")
    lines = axes.plot(_CURVE, curve @ weights, color="C1", lw=0.6, alpha=0.7)
    lines[0].set_label(label)
    axes.plot(_CURVE, middle, color="C0", lw=1.5, label="q: mean")
    axes.plot(task.points, task.problem.y, "ko", ms=4, label="data")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=4, frameon=False, columnspacing=1.0)


def _draw_distances(axes: Axes, least_wasserstein2: float, optimizers: dict[str, dict[str, float]]) -> None:
    names = list(optimizers)
    heights = [optimizers[name]["wasserstein2"] for name in names]
    bars = axes.bar(names, heights, color=["C0", "C0", "C0", "C3"][: len(names)], width=0.55)
    errors = [math.hypot(optimizers[name]["mean_error"], optimizers[name]["factor_error"]) for name in names]
    axes.bar_label(bars, [f"distance to the\nclosed form: {error:.1g}" for error in errors], fontsize=7, padding=2)
    axes.axhline(least_wasserstein2, color="k", ls="--", lw=1, label="least of all q of zero loss")
    axes.set(title="(c) Regression: distance to the prior", ylabel="W2²", ylim=(0, 1.15 * max(heights)))
    axes.legend(fontsize=7, loc="upper left", frameon=False)
