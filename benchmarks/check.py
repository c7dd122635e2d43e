"""`ivi check`: the conformance checks on a small real problem."""

from __future__ import annotations

import time

import torch
from rich.console import Console
from rich.text import Text

from baselines.checks import CHECKS, CheckFailed, CheckSkipped, Subject
from baselines.protocol import Method, Problem
from baselines.spec import MethodSpec
from benchmarks.problem import TaskData, load_task_data, make_problem
from benchmarks.suite import Run, load_task

TASK = "digits-mlp"
UNSEEN = 60


def subject_of(spec: MethodSpec) -> Subject:
    """The method on the task that takes seconds."""
    task = load_task(TASK)
    task_data: TaskData = load_task_data(task)

    def problem(method: Method, seed: int) -> Problem:
        run = Run(task=task, method=spec, seed=seed)
        return make_problem(run, task_data, method, lambda other, problem: other.fit(problem), lambda done, total: None)

    method = spec.create()
    unseen, _ = next(task_data.source(task_data.evaluation["test"](), torch.device("cpu")).ordered(UNSEEN))
    return Subject(method, problem, unseen)


def check_method(spec: MethodSpec, console: Console) -> bool:
    """Run every check on the method ``spec``, show what holds, and say whether all does."""
    torch.set_num_threads(1)  # these networks are too small to share out
    subject = subject_of(spec)
    console.print(f"{spec.label} on {TASK}, {UNSEEN} unseen images")
    failed = 0
    for check in CHECKS:
        fact, start = check.__name__.replace("_", " "), time.perf_counter()
        try:
            check(subject)
            mark, why = Text("holds  ", "green"), ""
        except CheckSkipped as skipped:
            mark, why = Text("skipped", "yellow"), str(skipped)
        except CheckFailed as failure:
            mark, why, failed = Text("fails  ", "red"), str(failure), failed + 1
        except Exception as error:
            mark, why, failed = Text("raises ", "red"), f"{type(error).__name__}: {error}", failed + 1
        seconds = f"  {time.perf_counter() - start:.1f} s"
        console.print(mark, fact, Text(seconds, "dim"), highlight=False)
        if why:
            console.print("        ", Text(why), highlight=False)
    console.print(f"{failed} of {len(CHECKS)} checks failed" if failed else "every check holds that applies")
    return not failed
