"""Make the tables of truth anew: ``python -m benchmarks.submission.truths [TASK ...]``. Nothing imports torch.

A table says what a task is: its identity, the hashes of its sets, the seeds that a row needs. Reviews hold submitted
records against it. The task's data must be on this machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

from baselines.names import UserError
from benchmarks.data.spec import DataError
from benchmarks.measure.environment import ROOT
from benchmarks.prepare import prepare
from benchmarks.runs import task_identity
from benchmarks.suite import Suite, Task, load_suite, load_task, names
from leaderboard.plan import read_plan
from leaderboard.store import write_once
from leaderboard.submission.truth import TRUTHS, Truth

RECORDS = ROOT / "leaderboard" / "records"


def truth_of(task: Task) -> Truth:
    """The table of ``task``; its data are decoded and sealed if they are not yet.

    Raises:
        UserError: a set cannot be had.
    """
    data = prepare(task)
    sets = data.manifest.sets
    return Truth(
        task=task_identity(task, data), sets=sets, steps=task.recipe.steps(sets["train"].n), suites=seeds_of(task.name)
    )


def seeds_of(task: str) -> dict[str, tuple[int, ...]]:
    """The suites that have the task, with the seeds of each; the task alone is a suite too.

    Where rows of a suite are published, a row beside them needs the seeds that they have.
    """
    suites: list[Suite] = [load_suite(name) for name in (*names("suite"), task)]
    return {suite.name: _published(suite.name, task) or suite.seeds for suite in suites if task in suite.tasks}


def _published(suite: str, task: str) -> tuple[int, ...]:
    plan = read_plan(RECORDS / suite, suite)
    return tuple(sorted({run.seed for run in plan.runs if run.task == task})) if plan else ()


def write(folder: Path, tasks: list[str]) -> list[Path]:
    """Write the table of each task; those whose data are not here are said and left out."""
    written = []
    for name in tasks:
        try:
            data = truth_of(load_task(name)).model_dump_json(indent=1).encode() + b"\n"
        except (UserError, DataError) as error:
            sys.stderr.write(f"{name}: {error}\n")
            continue
        written.append(folder / f"{name}.json")
        write_once(written[-1], data, replace=True)
    return written


if __name__ == "__main__":
    for path in write(TRUTHS, sys.argv[1:] or names("task")):
        sys.stdout.write(f"{path}\n")
