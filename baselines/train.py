"""The one training loop. Every method that trains a network trains it here; its seams are arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from baselines import ranks
from baselines.protocol import Problem, Unsupported
from baselines.rates import Groups, rated
from baselines.recipe import Recipe

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
Epoch = Callable[[int], Iterable[tuple[Tensor, Tensor]]]

CHECK_EVERY = 100
"""Steps between two looks at the loss: each look waits for the device."""


class TrainingError(RuntimeError):
    """Training broke one of its guards; the message names the parameters or the step."""


class Diverged(TrainingError):
    """The loss is no longer a finite number."""


def expected_loss(problem: Problem) -> Loss:
    """The likelihood's mean loss of one pass, nats; of a variational network, one draw of the expected loss."""
    return lambda model, x, y: problem.likelihood.loss(model(x), y)


def train(
    model: nn.Module,
    problem: Problem,
    *,
    loss: Loss | None = None,
    groups: Groups | None = None,
    optimizer: Callable[[Groups], Optimizer] | None = None,
    after_step: Callable[[int, int], None] | None = None,
    epoch: Epoch | None = None,
    clip: Callable[[float], object] | None = None,
) -> None:
    """Train ``model`` in place as the problem's recipe says, and leave it in eval mode.

    Args:
        model: a network whose parameters are on ``problem.device``.
        problem: training data, recipe, seeds.
        loss: (model, x, y) -> scalar to minimise; the likelihood's loss by default.
        groups: optimizer groups, each with ``params`` and perhaps ``lr`` and ``weight_decay``; all parameters in one
            group by default.
        optimizer: groups -> the optimizer; the recipe's by default. Its ``step`` is handed a closure that computes loss
            and gradient anew and returns the loss, which ``step`` returns in turn: an optimizer may look at several
            points. The schedule scales each group's ``lr``.
        after_step: (steps done, steps in all), called after every step: running averages, snapshots.
        epoch: number of an epoch -> its batches; the problem's own by default.
        clip: bounds the gradients by the recipe's ``clip_norm``; the norm of the whole gradient by default.

    Raises:
        TrainingError: a trainable parameter is in no group or in two, or never got a gradient.
        Diverged: the loss became NaN or infinite.
    """
    recipe, total = problem.recipe, problem.recipe.steps(problem.train.num_examples)
    groups = rated(groups or [{"params": list(model.parameters())}], model, recipe, problem.example)
    stepping = optimizer(groups) if optimizer else make_optimizer(recipe, groups)
    check_groups(model, stepping)
    compute_loss = _loss(model, problem, loss, own=optimizer or epoch)
    base_lrs = [group["lr"] for group in stepping.param_groups]
    unreached = {name: p for name, p in model.named_parameters() if p.requires_grad} if total else {}
    torch.manual_seed(problem.seeds.noise("train"))
    model.train()
    clip = clip or (lambda norm: nn.utils.clip_grad_norm_(model.parameters(), norm))
    for step, (x, y) in enumerate(_batches(epoch or _own_epoch(problem), total)):
        factor = lr_factor(recipe, step, total)
        for group, lr in zip(stepping.param_groups, base_lrs, strict=True):
            group["lr"] = lr * factor * group.get("rate", 1.0)
        value: Any = stepping.step(_closure(model, problem, stepping, compute_loss, clip, x, y))
        unreached = {name: p for name, p in unreached.items() if p.grad is None}
        if after_step is not None:
            after_step(step + 1, total)
        if (step + 1) % CHECK_EVERY == 0 or step + 1 == total:
            reached = float(torch.as_tensor(value).detach())
            if not math.isfinite(reached):
                raise Diverged(f"the loss is {reached} at step {step + 1} of {total}")
            problem.progress(step + 1, total)
    if unreached:
        raise TrainingError(f"parameters that no gradient ever reached: {', '.join(unreached)}")
    model.eval()


def _loss(model: nn.Module, problem: Problem, loss: Loss | None, own: object) -> Loss:
    """The loss that is minimised; where several devices train the network, that of this one's part of a batch."""
    if ranks.count() == 1:
        return loss or expected_loss(problem)
    if loss or own:
        raise Unsupported("with a loss or an optimizer of its own it is not trained on several devices at once")
    return ranks.SharedOut(model, problem)


def _closure(
    model: nn.Module,
    problem: Problem,
    optimizer: Optimizer,
    loss: Loss,
    clip: Callable[[float], object],
    x: Tensor,
    y: Tensor,
) -> Callable[[], Any]:  # torch's stubs say float, its optimizers return what the closure returns
    recipe = problem.recipe

    def compute() -> Tensor:
        optimizer.zero_grad()
        with torch.autocast(problem.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            value = loss(model, x, y)
        value.backward()
        if recipe.clip_norm is not None:
            clip(recipe.clip_norm)
        return value

    return compute


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


def _own_epoch(problem: Problem) -> Epoch:
    return lambda number: problem.train.shuffled(problem.recipe.batch_size, problem.seeds.epoch(number))


def _batches(epoch: Epoch, total: int) -> Iterator[tuple[Tensor, Tensor]]:
    """``total`` training batches, epoch after epoch."""
    step, number = 0, 0
    while step < total:
        before = step
        for batch in epoch(number):
            yield batch
            step += 1
            if step == total:
                return
        if step == before:
            raise TrainingError("the training examples gave no batch in a whole epoch")
        number += 1
