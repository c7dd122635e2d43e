"""`ivi check`: the conformance checks on small real problems, and what a run's own process can reach."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from rich.console import Console
from rich.text import Text

from baselines.checks import CHECKS, CheckFailed, CheckSkipped, Subject
from baselines.protocol import Method, Problem, Unsupported, recipe_changes
from baselines.spec import MethodSpec
from benchmarks.checked import TASKS
from benchmarks.measure.arithmetic import settle
from benchmarks.measure.environment import Stack
from benchmarks.measure.jobs import Failure, Found, SearchJob, Setting
from benchmarks.measure.run import measure
from benchmarks.nodes import LIMIT
from benchmarks.prepare import prepare
from benchmarks.problem import make_problem
from benchmarks.sealing import open_fitting
from benchmarks.suite import load_task

UNSEEN = 60
"""Validation examples that a method's outputs are looked at on."""


@dataclass(frozen=True)
class Case:
    """A method on one task."""

    setting: Setting
    subject: Subject


def case_of(spec: MethodSpec, name: str, where: str = "cpu") -> Case:
    """The method on the task ``name``, in problems like those of a run on the device ``where``."""
    task, device = load_task(name), torch.device(where)
    data = prepare(task)
    setting = Setting(task, data.folder, data.likelihood, spec, 0, where, 1, Stack.now().code, LIMIT)

    def problem(method: Method, seed: int) -> Problem:
        parts = open_fitting(setting, device, task.recipe.changed(recipe_changes(method)))
        return make_problem(replace(setting, seed=seed), parts).of(method)

    method = spec.create()
    unseen, _ = next(iter(problem(method, 0).validation.ordered(UNSEEN)))
    return Case(setting, Subject(method, problem, unseen))


def no_evaluation_example_is_in_the_process_that_fits(case: Case) -> None:
    """A real run's own process is searched after the fit: every tensor and array in it, wherever it hangs."""
    found = measure(SearchJob(case.setting))
    if isinstance(found, Failure):
        raise CheckFailed(found.reason)
    if isinstance(found, Found) and found.count:
        raise CheckFailed(f"{found.count} evaluation examples are in memory after the fit: where did it get them?")


def check_method(spec: MethodSpec, console: Console, tasks: tuple[str, ...] = TASKS, where: str = "cpu") -> bool:
    """Run every check on the method ``spec``, show what holds, and say whether all does.

    Args:
        spec: the method.
        console: where it is shown.
        tasks: names of tasks, or paths of their files.
        where: the device, ``cpu`` or ``cuda``.
    """
    settle(1)  # these networks are too small to share out
    failed = 0
    for name in tasks:
        console.print(Text(f"{spec.label} on {name}", "bold"))
        case = case_of(spec, name, where)
        try:
            _ = case.subject.untrained
        except Unsupported as reason:
            console.print(Text("skipped", "yellow"), Text(f"the method does not do this: {reason}"), highlight=False)
            continue
        checks: list[tuple[str, Callable[[], None]]] = [
            (check.__name__, partial(check, case.subject)) for check in CHECKS
        ]
        wall = no_evaluation_example_is_in_the_process_that_fits
        checks.append((wall.__name__, partial(wall, case)))
        failed += sum(not _holds(name, check, console) for name, check in checks)
    console.print(f"{failed} checks failed" if failed else "every check holds that applies")
    return not failed


def _holds(name: str, check: Callable[[], None], console: Console) -> bool:
    start, good = time.perf_counter(), True
    try:
        check()
        mark, why = Text("holds  ", "green"), ""
    except CheckSkipped as skipped:
        mark, why = Text("skipped", "yellow"), str(skipped)
    except CheckFailed as failure:
        mark, why, good = Text("fails  ", "red"), str(failure), False
    except Exception as error:
        mark, why, good = Text("raises ", "red"), f"{type(error).__name__}: {error}", False
    seconds = Text(f"  {time.perf_counter() - start:.1f} s", "dim")
    console.print(mark, Text(name.replace("_", " ")), seconds, highlight=False)
    if why:
        console.print("        ", Text(why), highlight=False)
    return good
