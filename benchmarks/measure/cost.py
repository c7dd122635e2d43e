"""What methods cost, as ratios to MAP: each alternated with MAP in one process, so that a slow minute meets both."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from baselines.protocol import Method, Predictor, Problem, recipe_changes
from baselines.recipe import Recipe
from baselines.spec import MethodSpec, distinct, parse
from benchmarks.measure.arithmetic import settle
from benchmarks.measure.audit import count_parameters, state_bytes
from benchmarks.measure.clock import Clock
from benchmarks.measure.environment import Stack, environment
from benchmarks.measure.fitting import BATCH_SIZE, machine_of
from benchmarks.measure.jobs import Setting
from benchmarks.measure.predicting import answers
from benchmarks.measure.probe import (  # first: it sets a variable for torch
    FirstBatches,
    fit_flops,
    peak_bytes,
    predict_flops,
    scaled,
    shortened,
)
from benchmarks.prepare import Prepared
from benchmarks.problem import Parts, make_problem, warm_up
from benchmarks.runs import method_identity, task_identity
from benchmarks.sealing import open_fitting
from benchmarks.suite import Task
from leaderboard.cost import CostRecord, MethodCost

SHORTEST = 0.1
"""Seconds that a timed prediction takes at least: it is repeated until it does."""
SHORTEST_METERED = 1.0
"""The same where energy is read: its counter moves every 20 to 100 ms."""
EXAMPLES = 1000
"""Validation examples that are predicted, at most: evaluation data are not needed to know what predicting costs."""
MEMORY_STEPS = 3
"""Steps, on as many batches, of the fit whose memory is looked at: from the second on an optimizer holds its state."""


class Spent(NamedTuple):
    """What a block took; ``joules`` is NaN where energy is not read."""

    seconds: float
    joules: float = math.nan


@dataclass
class _Subject:
    """A method that is measured."""

    method: Method
    problem: Problem
    predictor: Predictor
    cost: MethodCost
    repeats: int = 1


def costs_of(
    task: Task,
    data: Prepared,
    methods: Sequence[MethodSpec],
    device: str,
    threads: int,
    rounds: int,
    steps: int,
    report: Callable[[int, int], None],
    joules: Callable[[], float] | None = None,
) -> CostRecord:
    """Fit and predict with every method, each between two turns of MAP, ``rounds`` times.

    A recipe of more than ``steps`` steps is timed at two lengths and drawn out from there: seconds = a + b steps. So
    an ensemble pays b for every member, and a pass over the training set after training (Laplace) is in a, which a
    longer recipe does not stretch.

    Args:
        task: whose model and recipe.
        data: its sealed data.
        methods: MAP is measured too, if it is not among them: its ratio to itself shows the noise.
        device: ``cpu``, ``cuda``, ``cuda:1`` ...
        threads: of torch.
        rounds: turns of each method.
        steps: of the longest fit that is timed.
        report: (turns done, turns in all).
        joules: reads what the device has used so far, see `benchmarks.measure.energy`; None: energy is not measured.
    """
    settle(threads)
    where = torch.device(device)
    clock, stack = Clock(where), Stack.now()
    specs = distinct([parse("map"), *methods])
    plain = Setting(task, data.folder, data.likelihood, specs[0], 0, device, threads, stack.code, math.inf)
    parts = open_fitting(plain, where, task.recipe)
    advance = _Advance(report, len(specs) * (1 + 2 * rounds))
    examples = parts.train.num_examples
    total, lengths = task.recipe.steps(examples), lengths_of(task.recipe, examples, steps)
    costs = {}
    for spec in specs:
        costs[spec.key] = _prepared(replace(plain, method=spec), parts, where)
        advance()
    asked = FirstBatches.of(parts.validation, BATCH_SIZE, EXAMPLES // BATCH_SIZE)
    subjects = [one for one in costs.values() if isinstance(one, _Subject)]
    _alternate(subjects, _Turns(clock, joules, lengths, total, asked), rounds, advance)
    machine = machine_of(where, list(sys.modules))
    words = (machine["device_name"], threads, machine["capability"], machine["device_index"])
    return CostRecord(
        task=task_identity(task, data),
        device="cuda" if where.type == "cuda" else "cpu",
        environment=environment(stack, *words),
        steps=lengths[-1],
        recipe_steps=total,
        batch_size=BATCH_SIZE,
        methods=[one.cost if isinstance(one, _Subject) else one for one in costs.values()],
    )


@dataclass
class _Advance:
    """Counts the turns that are over."""

    report: Callable[[int, int], None]
    turns: int
    done: int = 0

    def __call__(self) -> None:
        self.done += 1
        self.report(self.done, self.turns)


@dataclass(frozen=True)
class _Turns:
    """What a turn is: fits of one or two ``lengths``, or predictions of what is ``asked`` as often as timing needs."""

    clock: Clock
    joules: Callable[[], float] | None
    lengths: Sequence[int]
    total: int
    asked: FirstBatches

    @property
    def units(self) -> tuple[str, ...]:
        """Of the fields of `Spent` that are measured, as `MethodCost` names them."""
        return ("s",) if self.joules is None else ("s", "j")

    def repeat(self, subject: _Subject) -> None:
        """Have ``subject`` predict so often that its time can be told.

        The first prediction is not looked at: on a GPU it loads libraries, a hundred times as long as those after it.
        """
        shortest = SHORTEST if self.joules is None else SHORTEST_METERED
        self.predict(subject)
        while (taken := self.predict(subject).seconds * subject.repeats * self.asked.num_examples) < shortest:
            subject.repeats = math.ceil(subject.repeats * max(1.1, shortest / taken))

    def fit(self, subject: _Subject) -> Spent:
        """Of the whole recipe."""

        def block(steps: int) -> Spent:
            return self._spent(lambda: subject.method.fit(scaled(subject.problem, steps / self.total)))

        blocks = [block(steps) for steps in self.lengths]
        return Spent(*(_whole(amounts, self.lengths, self.total) for amounts in zip(*blocks, strict=True)))

    def predict(self, subject: _Subject) -> Spent:
        """Of one example."""
        count = subject.repeats * self.asked.num_examples
        block = self._spent(lambda: [_answered(subject, self.asked) for _ in range(subject.repeats)])
        return Spent(*(amount / count for amount in block))

    def _spent(self, function: Callable[[], Any]) -> Spent:
        gc.collect()
        used = self.joules() if self.joules else math.nan
        start = self.clock.now()
        function()
        seconds = self.clock.now() - start
        return Spent(seconds, self.joules() - used if self.joules else math.nan)


def lengths_of(recipe: Recipe, examples: int, steps: int) -> list[int]:
    """The steps of the one or two fits that are timed: all of them if there are no more than ``steps``, else few and
    many, in whole epochs where at least three fit.
    """
    total, epoch = recipe.steps(examples), recipe.steps_per_epoch(examples)
    if total <= steps:
        return [total]
    if recipe.epochs is not None and steps >= 3 * epoch:
        return [epoch, steps // epoch * epoch]
    return [max(1, steps // 10), max(2, steps)]


def _prepared(setting: Setting, parts: Parts, device: torch.device) -> _Subject | MethodCost:
    """A method with all that does not need repeating; if it fails, the reason."""
    cost = MethodCost(label=setting.method.label, method=method_identity(setting.method))
    try:
        method = setting.method.create()
        recipe = setting.task.recipe.changed(recipe_changes(method))
        if recipe.augment != setting.task.recipe.augment:
            parts = open_fitting(setting, device, recipe)
        own = make_problem(setting, parts)
        warm_up(own)
        problem = own.of(method)
        short = shortened(problem, MEMORY_STEPS, MEMORY_STEPS)
        predictor = method.fit(short)
        x, _ = next(iter(parts.validation.ordered(BATCH_SIZE)))
        held = state_bytes(predictor)
        sizes = {
            "parameters": count_parameters(predictor),
            "state_bytes": held,
            "fit_memory": peak_bytes(problem.device, lambda: method.fit(short)),
            "predict_memory": held + peak_bytes(problem.device, lambda: _outputs(predictor, x)),
            "fit_flops": _counted(lambda: fit_flops(method, problem)),
            "predict_flops": _counted(lambda: round(predict_flops(predictor, x) / len(x))),
        }
    except Exception as error:
        return cost.model_copy(update={"error": f"{type(error).__name__}: {error}".partition("\n")[0]})
    return _Subject(method, problem, predictor, cost.model_copy(update=sizes))


def _alternate(subjects: Sequence[_Subject], turning: _Turns, rounds: int, advance: Callable[[], None]) -> None:
    """``rounds`` turns of fitting, then of predicting, of each method."""
    for subject in subjects:
        turning.repeat(subject)
    for kind, turn in (("fit", turning.fit), ("predict", turning.predict)):
        for _ in range(rounds):
            _round(subjects, kind, turning.units, turn, advance)


def _round(
    subjects: Sequence[_Subject],
    kind: str,
    units: Sequence[str],
    turn: Callable[[_Subject], Spent],
    advance: Callable[[], None],
) -> None:
    """One turn of every method, MAP before and after each."""
    before = turn(subjects[0])
    for subject in subjects:
        mine = turn(subject)
        after = turn(subjects[0])
        lists = {}
        for i, unit in enumerate(units):
            for name, value in ((f"{kind}_{unit}", mine[i]), (f"map_{kind}_{unit}", (before[i] + after[i]) / 2)):
                lists[name] = [*getattr(subject.cost, name), value]
        subject.cost, before = subject.cost.model_copy(update=lists), after
        advance()


def _whole(amounts: Sequence[float], lengths: Sequence[int], total: int) -> float:
    """Seconds or joules of ``total`` steps, from those of one or two lengths; never less than a part of them took.

    On a busy machine the shorter fit can take longer, and a line through both would end below zero.
    """
    if len(lengths) == 1:
        return amounts[0]
    (short, long), (first, second) = lengths, amounts
    return max(first, second, first + (second - first) / (long - short) * (total - short))


def _outputs(predictor: Predictor, x: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return predictor.outputs(x)


def _answered(subject: _Subject, asked: FirstBatches) -> None:
    with torch.inference_mode():
        for x, _ in asked.ordered(BATCH_SIZE):
            answers(subject.predictor, x, subject.problem.likelihood)


def _counted(count: Callable[[], int]) -> int | None:
    try:
        return count()
    except Exception:  # a method may do what torch's counter does not know
        return None
