"""Make the runs of a suite that are not done yet: this file reads top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.executors.local import LocalExecutor
from benchmarks.fits import Fit, FitStore, nodes_of
from benchmarks.machine import cores
from benchmarks.measure.environment import Stack
from benchmarks.measure.jobs import Failure, Setting, Uses, UsesJob, fit_key
from benchmarks.measure.run import measure
from benchmarks.outcome import Outcome, outcome_of
from benchmarks.progress import SuiteProgress
from benchmarks.results import Todo, estimates, to_do
from benchmarks.runs import Run
from benchmarks.schedule import Schedule
from leaderboard import scores, store
from leaderboard.plan import Plan, write_plan
from leaderboard.record import Record

LIMIT = 4 * 3600.0
"""Seconds that one fit, or all predictions of one run, may take."""


def make_runs(
    runs: Sequence[Run],
    folder: Path,
    console: Console,
    *,
    workers: int | None = None,
    redo: Todo = Todo.NEW,
    limit: float = LIMIT,
    plan: Plan | None = None,
) -> list[Record]:
    """Make every run that is not done in ``folder`` and return the records that were made.

    Args:
        runs: the plan.
        folder: where records go.
        console: where progress is shown.
        workers: jobs at a time; None: one per core on a CPU, one on a GPU. A job has one thread on a CPU, however many
            there are: threads decide the last digits.
        redo: which of the runs that have a record are made again.
        limit: seconds that one fit, or all predictions of one run, may take.
        plan: what the folder is about; kept beside the records.
    """
    stack = Stack.now()
    with store.writing(folder):
        if plan is not None:
            write_plan(folder, plan)
        records = store.read_all(folder).records
        attempts = to_do(runs, records, redo, stack)
        if not attempts:
            return []
        jobs = [run for run in runs if run.run_id in attempts]
        on_cpu = runs[0].device == "cpu"
        workers = workers or (cores() if on_cpu else 1)
        threads = 1 if on_cpu else cores()
        console.print(f"{len(jobs)} of {len(runs)} runs to make, {workers} at a time → {folder}", highlight=False)
        fits, made = FitStore(folder / ".fits"), []
        with LocalExecutor(workers) as executor, SuiteProgress(console, weights(jobs, records)) as progress:
            schedule = scheduled(jobs, executor, fits, stack, threads, limit)
            for ended in schedule.make(executor, workers, lambda: progress.take(executor.reports)):
                outcome = outcome_of(ended, attempts[ended.run.run_id], stack)
                path = keep(folder, outcome)
                progress.finish(ended.run, outcome.record, path)
                made.append(outcome.record)
        fits.drop()
        return made


def weights(runs: Sequence[Run], records: Sequence[Record]) -> dict[str, float]:
    """How much of the suite each run is: the seconds it may take, or a typical number where nothing is known."""
    known = estimates(runs, records)
    typical = sum(known.values()) / len(known) if known else 1.0
    return {run.run_id: known.get(run.run_id, typical) for run in runs}


def keep(folder: Path, outcome: Outcome) -> Path:
    """Keep a record, its predictions, its scores and what the run printed: a record that is there has all of them."""
    record = outcome.record
    while (path := store.path_of(folder, record)).exists():  # damaged, or put there by a method: it stays
        record = record.model_copy(update={"attempt": record.attempt + 1})
    if outcome.scores is not None:
        scores.write_scores(path, outcome.scores)
    return store.keep(folder, record, outcome.predictions, outcome.log)


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
