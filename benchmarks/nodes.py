"""Which fits the runs of a suite are made of: asked of each method, in a process of its own. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.executors.local import LocalExecutor
from benchmarks.fits import Fit, FitStore, nodes_of
from benchmarks.measure.environment import Stack
from benchmarks.measure.jobs import Failure, Setting, Uses, UsesJob, fit_key
from benchmarks.measure.run import measure
from benchmarks.runs import Run
from benchmarks.schedule import Schedule

LIMIT = 4 * 3600.0
"""Seconds that one fit, or all predictions of one run, may take."""


def scheduled(
    runs: Sequence[Run], executor: LocalExecutor, fits: FitStore, stack: Stack, threads: int, limit: float
) -> Schedule:
    """The schedule of ``runs``: which fits they are made of is asked of each method in a process of its own."""
    settings = {run.run_id: setting_of(run, stack, threads, limit) for run in runs}
    asked = {(run.task.name, run.method.label): settings[run.run_id] for run in runs}
    answers = {key: executor.submit(measure, UsesJob(setting)) for key, setting in asked.items()}
    nodes: dict[str, Fit] = {}
    own = {}
    for run in runs:
        uses = answers[run.task.name, run.method.label].result()
        found = nodes_of(run, _or_alone(uses, run), settings[run.run_id], stack)
        for fit in found:
            known = nodes.setdefault(fit.key, fit)
            known.whole = known.whole or fit.whole
        own[run.run_id] = found[-1].key
    return Schedule(runs, nodes, own, fits)


def setting_of(run: Run, stack: Stack, threads: int, limit: float = LIMIT) -> Setting:
    """What the run's fit and predictions have in common."""
    return Setting(
        task=run.task,
        data=run.data.folder,
        likelihood=run.data.likelihood,
        method=run.method,
        seed=run.seed,
        device=run.device,
        threads=threads,
        code=stack.code,
        limit=limit,
    )


def _or_alone(answer: Uses | Failure, run: Run) -> Uses:
    """What a method says that it takes over; one that cannot even say that will fail in its own fit, with a record."""
    if isinstance(answer, Uses):
        return answer
    return Uses(fit_key(run.method.label, 0, run.task.recipe), ())
