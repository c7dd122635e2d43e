"""The one training loop. Every method that trains a network trains it here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, AdamW, Optimizer

from baselines.protocol import Problem
from baselines.recipe import Recipe
from baselines.seeds import derive_seed

Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]

CHECK_EVERY = 100
"""Steps between two looks at the loss: each look waits for the device."""


class TrainingError(RuntimeError):
    """Training broke one of its guards; the message names the parameters or the step."""


class Diverged(TrainingError):
    """The loss is no longer a finite number."""


def cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of one forward pass, nats. For a variational network this is one draw of the expected loss."""
    return F.cross_entropy(model(x), y)


def train(
    model: nn.Module,
    problem: Problem,
    *,
    member: int = 0,
    objective: Objective = cross_entropy,
    groups: Iterable[dict[str, Any]] | None = None,
) -> None:
    """Train ``model`` in place as the problem's recipe says, and leave it in eval mode.

    Args:
        model: a network whose parameters are on ``problem.device``.
        problem: training data, recipe, seeds.
        member: which member of an ensemble this is; decides batch order and noise.
        objective: (model, x, y) -> scalar loss to minimise.
        groups: optimizer groups, each with ``params`` and perhaps ``lr`` and ``weight_decay``; all parameters in one
            group by default.

    Raises:
        TrainingError: a trainable parameter is in no group or in two, or never got a gradient.
        Diverged: the loss became NaN or infinite.
    """
    recipe, total = problem.recipe, problem.recipe.steps(problem.train.num_examples)
    optimizer = make_optimizer(recipe, groups or [{"params": list(model.parameters())}])
    check_groups(model, optimizer)
    base_lrs = [group["lr"] for group in optimizer.param_groups]
    torch.manual_seed(derive_seed(problem.seeds.noise, "train", member))
    model.train()
    autocast = torch.autocast(problem.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")
    for step, (x, y) in enumerate(_batches(problem, member, total)):
        factor = lr_factor(recipe, step, total)
        for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
            group["lr"] = lr * factor
        optimizer.zero_grad()
        with autocast:
            loss = objective(model, x, y)
        loss.backward()
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        optimizer.step()
        if (step + 1) % CHECK_EVERY == 0 or step + 1 == total:
            if not math.isfinite(loss.item()):
                raise Diverged(f"the loss is {loss.item()} at step {step + 1} of {total}")
            problem.progress(step + 1, total)
    if total:
        check_reached(model)
    model.eval()


def lr_factor(recipe: Recipe, step: int, total: int) -> float:
    """What the base learning rate is multiplied with at ``step`` (from 0): linear warm-up, then cosine or constant."""
    warmup = max(1, round(recipe.warmup * total)) if recipe.warmup else 0
    if step < warmup:
        return (step + 1) / warmup
    if recipe.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def make_optimizer(recipe: Recipe, groups: Iterable[dict[str, Any]]) -> Optimizer:
    """The recipe's optimizer over ``groups``; a group's own ``lr`` and ``weight_decay`` win over the recipe's."""
    if recipe.optimizer == "adamw":
        return AdamW(groups, lr=recipe.lr, weight_decay=recipe.weight_decay, betas=(recipe.momentum, 0.999))
    return SGD(groups, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)


def check_groups(model: nn.Module, optimizer: Optimizer) -> None:
    """Raise `TrainingError` unless every trainable parameter is in exactly one optimizer group."""
    counts: dict[int, int] = {}
    for group in optimizer.param_groups:
        for p in group["params"]:
            counts[id(p)] = counts.get(id(p), 0) + 1
    wrong = {name: counts.get(id(p), 0) for name, p in model.named_parameters() if p.requires_grad}
    wrong = {name: count for name, count in wrong.items() if count != 1}
    if wrong:
        raise TrainingError(f"parameters must be in exactly one optimizer group, these are in as many: {wrong}")


def check_reached(model: nn.Module) -> None:
    """Raise `TrainingError` if a trainable parameter has never got a gradient.

    One that has, yet kept its value, may be right (a bias before batch normalization): the record's audit names it.
    """
    idle = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    if idle:
        raise TrainingError(f"parameters that no gradient ever reached: {', '.join(idle)}")


def _batches(problem: Problem, member: int, total: int) -> Iterator[tuple[Tensor, Tensor]]:
    """``total`` training batches, epoch after epoch, in the order of ``member``."""
    step, epoch = 0, 0
    while step < total:
        for batch in problem.train.shuffled(problem.recipe.batch_size, derive_seed(problem.seeds.order, member, epoch)):
            if step == total:
                return
            yield batch
            step += 1
        epoch += 1
