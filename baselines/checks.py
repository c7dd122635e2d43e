"""Conformance checks: what every method must get right, built-in or not. Each is named after the fact it establishes.

subject = Subject(method, make_problem, unseen)
for check in CHECKS:
    check(subject)  # raises CheckFailed with what is wrong
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from baselines.likelihood import Likelihood
from baselines.map import MAP
from baselines.protocol import BatchSource, Method, Predictor, Problem
from baselines.watch import Watch, watched

TOLERANCE = 1e-4
"""Largest difference of two outputs that counts as rounding, relative to the largest output (at least 1)."""


class CheckFailed(AssertionError):
    """A method breaks the contract; the message says how."""


class CheckSkipped(Exception):
    """A check does not apply to a method; the message says why."""


@dataclass
class Subject:
    """A method under examination.

    Attributes:
        method: the method.
        make_problem: (method, seed) -> a small problem as that method is given it, made anew at each call. It should
            have batches enough to learn something and a network with a normalization layer.
        unseen: [batch, ...], inputs that are not in ``train``.
    """

    method: Method
    make_problem: Callable[[Method, int], Problem]
    unseen: Tensor
    watch: Watch = field(default_factory=Watch)

    @cached_property
    def problem(self) -> Problem:
        """The problem of seed 0."""
        return self.make_problem(self.method, 0)

    @cached_property
    def untrained(self) -> Predictor:
        """A predictor before training."""
        return self.method.predictor(self.problem)

    @cached_property
    def fitted(self) -> Predictor:
        """The method fitted to seed 0, once, under the eyes of ``watch``."""
        with watched(self.problem, self.watch) as problem:
            return self.method.fit(problem)

    def outputs(self, predictor: Predictor, x: Tensor | None = None) -> Tensor:
        """Outputs as the harness asks for them."""
        with torch.inference_mode():
            return predictor.outputs(self.unseen if x is None else x)


def the_method_is_a_frozen_dataclass(subject: Subject) -> None:
    """Its fields are its hyperparameters, and stay what they are."""
    parameters = getattr(type(subject.method), "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise CheckFailed(f"{type(subject.method).__name__} is no frozen dataclass: write @dataclass(frozen=True)")


def outputs_are_finite_numbers_of_shape_members_batch_outputs(subject: Subject) -> None:
    """What `Predictor.outputs` promises."""
    outputs, batch, wanted = subject.outputs(subject.fitted), len(subject.unseen), subject.problem.likelihood.outputs
    if outputs.dim() != 3 or outputs.shape[1:] != (batch, wanted) or not outputs.shape[0]:
        raise CheckFailed(f"outputs have shape {tuple(outputs.shape)}, not [members, {batch}, {wanted}]")
    if not outputs.isfinite().all():
        raise CheckFailed(f"{int((~outputs.isfinite()).sum())} of {outputs.numel()} outputs are not finite numbers")


def the_same_seed_gives_the_same_outputs(subject: Subject) -> None:
    """A second fit of the same problem repeats the first; all randomness comes from ``problem.seeds``."""
    torch.rand(7)  # a method that leans on the global generator must seed it
    again = subject.method.fit(subject.make_problem(subject.method, 0))
    _same(subject.outputs(subject.fitted), subject.outputs(again), "two fits with the same seed differ")


def asking_twice_gives_the_same_outputs(subject: Subject) -> None:
    """Draws and masks are fixed once."""
    first, second = subject.outputs(subject.fitted), subject.outputs(subject.fitted)
    _same(first, second, "the same inputs twice gave other outputs: fix the draws once, from problem.seeds.noise")


def outputs_do_not_depend_on_batch_size_or_order(subject: Subject) -> None:
    """An example's outputs do not depend on its neighbours."""
    x, whole = subject.unseen, subject.outputs(subject.fitted)
    parts = torch.cat([subject.outputs(subject.fitted, part) for part in x.split(math.ceil(len(x) / 3))], 1)
    _same(whole, parts, "smaller batches gave other outputs (a normalization layer in train mode? a mask per example?)")
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).to(x.device)
    shuffled = subject.outputs(subject.fitted, x[order])
    _same(whole[:, order], shuffled, "another order of the examples gave other outputs")


def every_trainable_parameter_is_in_one_optimizer_group(subject: Subject) -> None:
    """None is updated twice, none is left out."""
    counts = {name: subject.watch.groups_of(p) for name, p in _trainable(subject.fitted).items()}
    if not any(counts.values()):
        raise CheckSkipped("no torch optimizer held a parameter of the predictor (a fit that was taken over?)")
    wrong = {name: count for name, count in counts.items() if count != 1}
    if wrong:
        raise CheckFailed(f"parameters in another number of optimizer groups than one: {wrong}")


def every_trainable_parameter_changes(subject: Subject) -> None:
    """No parameter is forgotten."""
    before, trainable = subject.untrained.state_dict(), _trainable(subject.fitted)
    if not subject.watch.allowed:
        raise CheckSkipped("the recipe has no steps")
    stuck = [name for name, p in trainable.items() if name in before and p.numel() and torch.equal(before[name], p)]
    if stuck:
        raise CheckFailed(f"parameters that fitting never changed: {', '.join(stuck)}")


def it_takes_no_more_steps_than_the_recipe_that_it_declares(subject: Subject) -> None:
    """Equal compute: what goes beyond the task's recipe is declared; fits that it asks for have recipes of theirs."""
    _ = subject.fitted
    steps, allowed = max(subject.watch.steps, subject.watch.batches), subject.watch.allowed
    if steps > allowed:
        raise CheckFailed(f"{steps} training steps where its recipe has {allowed}: declare them in recipe_changes")


def it_learns_from_the_data_that_it_is_given(subject: Subject) -> None:
    """Inputs are mirrored and labels exchanged: who learns them has learnt from these data and from no others."""
    problem = subject.make_problem(subject.method, 0)
    if not problem.recipe.steps(problem.train.num_examples):
        raise CheckSkipped("the recipe has no steps")
    train = Disguised(problem.train, problem.likelihood)
    validation = Disguised(problem.validation, problem.likelihood)
    fitted = subject.method.fit(replace(problem, train=train, validation=validation))
    pairs = [(subject.outputs(fitted, x), y) for x, y in train.ordered(problem.recipe.batch_size)]
    outputs, y = torch.cat([out for out, _ in pairs], 1), torch.cat([y for _, y in pairs])
    reduced, count = problem.likelihood.reduce(outputs), len(y)
    if problem.likelihood.kind == "categorical":
        found = float((reduced["log_probs"].argmax(-1) == y).float().mean())
        base = float(y.bincount().max() / count)
        what, limit = "accuracy", base + 3 * math.sqrt(base * (1 - base) / count)
    else:
        found = float(torch.corrcoef(torch.stack([reduced["mean"], y.to(reduced["mean"])]))[0, 1])
        what, limit = "correlation with the target", 3 / math.sqrt(count)
    if not found > limit:
        raise CheckFailed(
            f"{what} {found:.2f} on the training data that it was given, where chance reaches {limit:.2f}: "
            "it learnt nothing, or from other data"
        )


def the_fit_of_a_changed_problem_is_another_fit(subject: Subject) -> None:
    """What `Problem.fit` hands out depends on the data and the recipe that it is asked with."""
    problem = subject.make_problem(MAP(), 0)
    if not problem.recipe.steps(problem.train.num_examples):
        raise CheckSkipped("the recipe has no steps")
    slower = problem.recipe.changed({"lr": problem.recipe.lr / 2})
    whole = subject.outputs(problem.fit(MAP()))
    for what, changed in {
        "half of the training data": replace(problem, train=Half(problem.train)),
        "half of the learning rate": replace(problem, recipe=slower),
        "another member's seeds": problem.member(1),
    }.items():
        if torch.equal(whole, subject.outputs(changed.fit(MAP()))):
            raise CheckFailed(f"problem.fit gave the fit of the whole problem where it was asked with {what}")


def a_degenerate_case_equals_map(subject: Subject) -> None:
    """With the hyperparameters of its attribute ``map_equivalent`` a method is MAP: the harness treats both alike."""
    values = getattr(subject.method, "map_equivalent", None)
    if values is None:
        raise CheckSkipped("the method declares no map_equivalent hyperparameters")
    method = dataclasses.replace(subject.method, **values)  # type: ignore[type-var]
    theirs = subject.outputs(method.fit(subject.make_problem(method, 0)))
    ours = subject.outputs(MAP().fit(subject.make_problem(MAP(), 0)))
    changed = ", ".join(f"{key}={value}" for key, value in values.items()) or "its defaults"
    _same(ours.expand_as(theirs), theirs, f"with {changed} the outputs are not those of MAP")


def a_saved_state_gives_the_same_outputs(subject: Subject) -> None:
    """``state_dict`` holds all that training has found: loaded into a new predictor, it predicts the same."""
    state = {key: value.detach().contiguous().clone() for key, value in subject.fitted.state_dict().items()}
    fresh = subject.method.predictor(subject.make_problem(subject.method, 0))
    fresh.load_state_dict(load(save(state)))
    _same(
        subject.outputs(subject.fitted), subject.outputs(fresh), "a predictor with the saved state predicts otherwise"
    )


CHECKS: tuple[Callable[[Subject], None], ...] = (
    the_method_is_a_frozen_dataclass,
    outputs_are_finite_numbers_of_shape_members_batch_outputs,
    asking_twice_gives_the_same_outputs,
    outputs_do_not_depend_on_batch_size_or_order,
    the_same_seed_gives_the_same_outputs,
    every_trainable_parameter_is_in_one_optimizer_group,
    every_trainable_parameter_changes,
    it_takes_no_more_steps_than_the_recipe_that_it_declares,
    it_learns_from_the_data_that_it_is_given,
    a_saved_state_gives_the_same_outputs,
    a_degenerate_case_equals_map,
    the_fit_of_a_changed_problem_is_another_fit,
)


@dataclass(frozen=True)
class Disguised:
    """A source with mirrored inputs and exchanged labels: class c is called c + 1, a number -y."""

    source: BatchSource
    likelihood: Likelihood

    @property
    def num_examples(self) -> int:
        """As many as there were."""
        return self.source.num_examples

    def shuffled(self, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch."""
        return map(self._disguise, self.source.shuffled(batch_size, seed))

    def ordered(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every example once."""
        return map(self._disguise, self.source.ordered(batch_size))

    def _disguise(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, y = batch
        labels = (y + 1) % self.likelihood.outputs if self.likelihood.kind == "categorical" else -y
        return (x.flip(-1) if x.is_floating_point() else x), labels  # identifiers of tokens have their order


@dataclass(frozen=True)
class Half:
    """The first half of each batch of a source."""

    source: BatchSource

    @property
    def num_examples(self) -> int:
        """Half of them."""
        return self.source.num_examples // 2

    def shuffled(self, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch."""
        return self._halved(self.source.shuffled(2 * batch_size, seed))

    def ordered(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every example once."""
        return self._halved(self.source.ordered(2 * batch_size))

    def _halved(self, batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        return ((x[: len(x) // 2], y[: len(y) // 2]) for x, y in batches)


def _trainable(predictor: Predictor) -> dict[str, nn.Parameter]:
    if not isinstance(predictor, nn.Module):
        raise CheckSkipped("the predictor is no torch module: its parameters are not known")
    return {name: p for name, p in predictor.named_parameters() if p.requires_grad}


def _same(a: Tensor, b: Tensor, message: str) -> None:
    if a.shape != b.shape:
        raise CheckFailed(f"{message}: shapes {tuple(a.shape)} and {tuple(b.shape)}")
    scale = max(1.0, float(a.abs().max()))
    difference = float((a - b).abs().max())
    if not difference <= TOLERANCE * scale:
        raise CheckFailed(f"{message} (by up to {difference:.2g})")
