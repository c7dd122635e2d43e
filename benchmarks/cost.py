"""What methods cost, as ratios to MAP: each alternated with MAP in one process, so that a slow minute meets both."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from baselines.protocol import Method, Predictor, Problem
from baselines.recipe import Recipe
from baselines.spec import MethodSpec, parse
from benchmarks.audit import count_parameters, state_bytes
from benchmarks.clock import Clock
from benchmarks.environment import begin, environment
from benchmarks.evaluate import BATCH_SIZE, predict
from benchmarks.probe import (  # first: it sets a variable for torch
    FirstBatches,
    fit_flops,
    peak_bytes,
    predict_flops,
    shortened,
)
from benchmarks.problem import TaskData, load_task_data, make_problem, warm_up
from benchmarks.suite import Run, Task
from leaderboard.cost import CostRecord, MethodCost
from leaderboard.record import TaskInfo

SHORTEST = 0.1
"""Seconds that a timed prediction takes at least: it is repeated until it does."""
IMAGES = 1000
"""Test images that are predicted, at most."""
MEMORY_STEPS = 3
"""Steps, on as many batches, of the fit whose memory is looked at: from the second on an optimizer holds its state."""


@dataclass
class _Subject:
    """A method that is measured."""

    run: Run
    method: Method
    problem: Problem
    predictor: Predictor
    cost: MethodCost
    repeats: int = 1


def measure(
    task: Task,
    methods: Sequence[MethodSpec],
    device: str,
    threads: int,
    rounds: int,
    steps: int,
    report: Callable[[int, int], None],
) -> CostRecord:
    """Fit and predict with every method, each between two turns of MAP, ``rounds`` times.

    A recipe of more than ``steps`` steps is timed at two lengths and drawn out from there: seconds = a + b steps. So
    an ensemble pays b for every member, and a pass over the training set after training (Laplace) is in a, which a
    longer recipe does not stretch.

    Args:
        task: whose data, model and recipe.
        methods: MAP is measured too, if it is not among them: its ratio to itself shows the noise.
        device: ``cpu``, ``cuda``, ``cuda:1`` ...
        threads: of torch.
        rounds: turns of each method.
        steps: of the longest fit that is timed.
        report: (turns done, turns in all).
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    where = torch.device(device)
    clock, data = Clock(where), load_task_data(task, device)
    specs = list({spec.key: spec for spec in [parse("map"), *methods]}.values())
    turns, done = len(specs) * (1 + 2 * rounds), 0

    def advance() -> None:
        nonlocal done
        done += 1
        report(done, turns)

    examples = data.source(data.fitting["train"], where).num_examples
    total, lengths = task.recipe.steps(examples), lengths_of(task.recipe, examples, steps)
    costs, subjects = {}, []
    for spec in specs:
        subject = _prepared(Run(task=task, method=spec, seed=0, device=device), data, threads)
        costs[spec.key] = subject
        if isinstance(subject, _Subject):
            subjects.append(subject)
        advance()

    def fitting(subject: _Subject) -> float:
        return _whole([_timed(clock, lambda n=n: _fit(subject, n)) for n in lengths], lengths, total)

    test = data.evaluation["test"]()
    source = FirstBatches.of(data.source(test, where), BATCH_SIZE, IMAGES // BATCH_SIZE)

    def predicting(subject: _Subject) -> float:
        seconds = _timed(clock, lambda: [predict(subject.predictor, source, False) for _ in range(subject.repeats)])
        return seconds / subject.repeats / source.num_examples

    for subject in subjects:
        subject.repeats = max(1, math.ceil(SHORTEST / (predicting(subject) * source.num_examples)))
    for kind, timing in (("fit", fitting), ("predict", predicting)):
        for _ in range(rounds):
            _round(subjects, kind, timing, advance)
    fingerprints = {"train": data.fitting["train"].fingerprint, "test": test.fingerprint}
    return CostRecord(
        task=TaskInfo(name=task.name, version=task.version, fingerprints=fingerprints),
        environment=environment(device, threads, torch.cuda.get_device_name(where) if where.type == "cuda" else ""),
        steps=lengths[-1],
        recipe_steps=total,
        batch_size=BATCH_SIZE,
        methods=[one.cost if isinstance(one, _Subject) else one for one in costs.values()],
    )


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


def _prepared(run: Run, data: TaskData, threads: int) -> _Subject | MethodCost:
    """A method with all that does not need repeating; if it fails, the reason."""
    cost = MethodCost(method=begin(run, 1, threads).method)
    try:
        method = run.method.create()
        problem = make_problem(run, data, method, lambda other, given: other.fit(given), lambda done, total: None)
        warm_up(problem)
        short = shortened(problem, MEMORY_STEPS, MEMORY_STEPS)
        predictor = method.fit(short)
        x, _ = next(data.source(data.evaluation["test"](), problem.device).ordered(BATCH_SIZE))
        held = state_bytes(predictor)
        sizes = {
            "parameters": count_parameters(predictor),
            "state_bytes": held,
            "fit_memory": peak_bytes(problem.device, lambda: method.fit(short)),
            "predict_memory": held + peak_bytes(problem.device, lambda: _logits(predictor, x)),
            "fit_flops": _counted(lambda: fit_flops(method, problem)),
            "predict_flops": _counted(lambda: round(predict_flops(predictor, x) / len(x))),
        }
    except Exception as error:
        return cost.model_copy(update={"error": f"{type(error).__name__}: {error}".partition("\n")[0]})
    return _Subject(run, method, problem, predictor, cost.model_copy(update=sizes))


def _round(
    subjects: Sequence[_Subject], kind: str, timing: Callable[[_Subject], float], advance: Callable[[], None]
) -> None:
    """One turn of every method, MAP before and after each."""
    before = timing(subjects[0])
    for subject in subjects:
        seconds = timing(subject)
        after = timing(subjects[0])
        values = {f"{kind}_s": seconds, f"map_{kind}_s": (before + after) / 2}
        lists = {name: [*getattr(subject.cost, name), value] for name, value in values.items()}
        subject.cost, before = subject.cost.model_copy(update=lists), after
        advance()


def _timed(clock: Clock, function: Callable[[], Any]) -> float:
    gc.collect()
    start = clock.now()
    function()
    return clock.now() - start


def _fit(subject: _Subject, steps: int) -> Predictor:
    return subject.method.fit(shortened(subject.problem, steps))


def _whole(seconds: Sequence[float], lengths: Sequence[int], total: int) -> float:
    """Seconds of ``total`` steps, from those of one or two lengths."""
    if len(lengths) == 1:
        return seconds[0]
    (short, long), (first, second) = lengths, seconds
    return first + (second - first) / (long - short) * (total - short)


def _logits(predictor: Predictor, x: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return predictor.logits(x)


def _counted(count: Callable[[], int]) -> int | None:
    try:
        return count()
    except Exception:  # a method may do what torch's counter does not know
        return None
