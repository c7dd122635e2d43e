"""Conformance checks: what every method must get right, built-in or not. Each is named after the fact it establishes.

subject = Subject(method, make_problem, unseen)
for check in CHECKS:
    check(subject)  # raises CheckFailed with what is wrong
"""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from baselines.map import MAP
from baselines.protocol import Method, Predictor, Problem

TOLERANCE = 1e-4
"""Largest difference of two logits that counts as rounding, relative to the largest logit (at least 1)."""


class CheckFailed(AssertionError):
    """A method breaks the contract; the message says how."""


class CheckSkipped(Exception):
    """A check does not apply to a method; the message says why."""


@dataclass
class Subject:
    """A method under examination.

    Attributes:
        method: the method.
        make_problem: (method, seed) -> a small problem, made anew at each call, whose model has a normalization layer.
        unseen: [batch, channels, height, width] images of the task's test set.
    """

    method: Method
    make_problem: Callable[[Method, int], Problem]
    unseen: Tensor

    @cached_property
    def problem(self) -> Problem:
        """The problem of seed 0."""
        return self.make_problem(self.method, 0)

    @cached_property
    def untrained(self) -> Predictor:
        """A predictor before training."""
        return self.method.predictor(self.problem)

    @cached_property
    def optimized(self) -> dict[int, int]:
        """Of `fitted`: parameter id -> how many groups of its optimizer hold it."""
        return {}

    @cached_property
    def fitted(self) -> Predictor:
        """The method fitted to seed 0, once."""

        def note(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
            groups = [id(p) for group in optimizer.param_groups for p in group["params"]]
            self.optimized.update({p: groups.count(p) for p in groups} if groups[0] not in self.optimized else {})

        handle = register_optimizer_step_pre_hook(note)
        try:
            return self.method.fit(self.problem)
        finally:
            handle.remove()

    def logits(self, predictor: Predictor, x: Tensor | None = None) -> Tensor:
        """Logits as the harness asks for them."""
        with torch.inference_mode():
            return predictor.logits(self.unseen if x is None else x)


def logits_are_finite_numbers_of_shape_members_batch_classes(subject: Subject) -> None:
    """What `Predictor.logits` promises."""
    logits, batch, classes = subject.logits(subject.fitted), len(subject.unseen), subject.problem.num_classes
    if logits.dim() != 3 or logits.shape[1:] != (batch, classes) or not logits.shape[0]:
        raise CheckFailed(f"logits have shape {tuple(logits.shape)}, not [members, {batch}, {classes}]")
    if not logits.isfinite().all():
        raise CheckFailed(f"{int((~logits.isfinite()).sum())} of {logits.numel()} logits are not finite numbers")


def the_same_seed_gives_the_same_logits(subject: Subject) -> None:
    """A second fit of the same problem repeats the first; all randomness comes from ``problem.seeds``."""
    torch.rand(7)  # a method that leans on the global generator must seed it
    again = subject.method.fit(subject.make_problem(subject.method, 0))
    _same(subject.logits(subject.fitted), subject.logits(again), "two fits with the same seed differ")


def asking_twice_gives_the_same_logits(subject: Subject) -> None:
    """Draws and masks are fixed once."""
    first, second = subject.logits(subject.fitted), subject.logits(subject.fitted)
    _same(first, second, "the same images twice gave other logits: fix the draws once, from problem.seeds.noise")


def logits_do_not_depend_on_batch_size_or_order(subject: Subject) -> None:
    """An image's logits do not depend on its neighbours."""
    x, whole = subject.unseen, subject.logits(subject.fitted)
    halves = torch.cat([subject.logits(subject.fitted, part) for part in x.split(len(x) // 3)], 1)
    _same(whole, halves, "smaller batches gave other logits (a normalization layer in train mode? a mask per image?)")
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    shuffled = subject.logits(subject.fitted, x[order.to(x.device)])
    _same(whole[:, order], shuffled, "another order of the images gave other logits")


def every_trainable_parameter_is_in_one_optimizer_group_and_changes(subject: Subject) -> None:
    """No parameter is forgotten, none is updated twice."""
    fitted = subject.fitted
    if not isinstance(fitted, nn.Module):
        raise CheckSkipped("the predictor is no torch module: its parameters are not known")
    trainable = {name: p for name, p in fitted.named_parameters() if p.requires_grad}
    counts = {name: subject.optimized.get(id(p), 0) for name, p in trainable.items()}
    if any(counts.values()):  # else the fit was taken over from other objects (Laplace on MAP)
        wrong = {name: count for name, count in counts.items() if count != 1}
        if wrong:
            raise CheckFailed(f"parameters in another number of optimizer groups than one: {wrong}")
    before = subject.untrained.state_dict()
    stuck = [name for name, p in trainable.items() if name in before and p.numel() and torch.equal(before[name], p)]
    if stuck:
        raise CheckFailed(f"parameters that fitting never changed: {', '.join(stuck)}")


def a_degenerate_case_equals_map(subject: Subject) -> None:
    """With the hyperparameters of its attribute ``map_equivalent`` a method is MAP: the harness treats both alike."""
    values = getattr(subject.method, "map_equivalent", None)
    if values is None:
        raise CheckSkipped("the method declares no map_equivalent hyperparameters")
    method = dataclasses.replace(subject.method, **values)  # type: ignore[type-var]
    theirs = subject.logits(method.fit(subject.make_problem(method, 0)))
    ours = subject.logits(MAP().fit(subject.make_problem(MAP(), 0)))
    changed = ", ".join(f"{key}={value}" for key, value in values.items())
    _same(ours.expand_as(theirs), theirs, f"with {changed} the logits are not those of MAP")


def a_saved_state_gives_the_same_logits(subject: Subject) -> None:
    """``state_dict`` holds all that training has found: loaded into a new predictor, it predicts the same."""
    state = {key: value.detach().contiguous().clone() for key, value in subject.fitted.state_dict().items()}
    fresh = subject.method.predictor(subject.make_problem(subject.method, 0))
    fresh.load_state_dict(load(save(state)))
    _same(subject.logits(subject.fitted), subject.logits(fresh), "a predictor with the saved state predicts otherwise")


def test_data_cannot_be_reached_from_the_problem(subject: Subject) -> None:
    """No object that the problem leads to holds a test image."""
    size = subject.unseen[0].numel()
    rows = subject.unseen.flatten(1).cpu()
    for tensor in _tensors(subject.problem):
        if tensor.numel() % size or tensor.dim() < 2 or tensor[0].numel() != size or not tensor.is_floating_point():
            continue
        if (torch.cdist(tensor.detach().flatten(1).cpu().float(), rows) < 1e-6).any():
            raise CheckFailed("a test image can be reached from the problem")


test_data_cannot_be_reached_from_the_problem.__test__ = False  # type: ignore[attr-defined]  # pytest: a check, no test

CHECKS: tuple[Callable[[Subject], None], ...] = (
    logits_are_finite_numbers_of_shape_members_batch_classes,
    asking_twice_gives_the_same_logits,
    logits_do_not_depend_on_batch_size_or_order,
    the_same_seed_gives_the_same_logits,
    every_trainable_parameter_is_in_one_optimizer_group_and_changes,
    a_saved_state_gives_the_same_logits,
    a_degenerate_case_equals_map,
    test_data_cannot_be_reached_from_the_problem,
)


def _same(a: Tensor, b: Tensor, message: str) -> None:
    if a.shape != b.shape:
        raise CheckFailed(f"{message}: shapes {tuple(a.shape)} and {tuple(b.shape)}")
    scale = max(1.0, float(a.abs().max()))
    difference = float((a - b).abs().max())
    if not difference <= TOLERANCE * scale:
        raise CheckFailed(f"{message} (by up to {difference:.2g})")


def _tensors(start: object) -> Iterator[Tensor]:
    """Every tensor that can be reached from ``start``, but not through modules or classes."""
    seen, todo = set(), [start]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, ModuleType | type):
            continue
        seen.add(id(thing))
        if isinstance(thing, Tensor):
            yield thing
        elif callable(thing) and hasattr(thing, "__closure__"):  # a function leads to its globals: look at cells only
            todo += [cell.cell_contents for cell in thing.__closure__ or ()]
            todo.append(thing.__defaults__)
        else:
            todo += gc.get_referents(thing)
