"""Make the runs of a suite that are not done yet: this file reads top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.executors.chosen import HERE, Chosen, Place
from benchmarks.executors.local import LocalExecutor
from benchmarks.fits import FitStore
from benchmarks.machine import cores
from benchmarks.measure.environment import Stack
from benchmarks.nodes import LIMIT, scheduled
from benchmarks.outcome import Outcome, outcome_of
from benchmarks.own.kept import SUFFIX, model_file, refuse_streamed, without_model
from benchmarks.progress import SuiteProgress
from benchmarks.results import Todo, estimates, to_do
from benchmarks.runs import Run
from leaderboard import scores, store
from leaderboard.plan import Plan, write_plan
from leaderboard.record import Record


def make_runs(
    runs: Sequence[Run],
    folder: Path,
    console: Console,
    *,
    workers: int | None = None,
    redo: Todo = Todo.NEW,
    limit: float = LIMIT,
    plan: Plan | None = None,
    keep_models: bool = False,
    on: Chosen = HERE,
) -> list[Record]:
    """Make every run that is not done in ``folder`` and return the records that were made.

    Args:
        runs: the plan.
        folder: where records go.
        console: where progress is shown.
        workers: jobs at a time; None: as many as the executor likes. A job has one thread on a CPU, however many there
            are: threads decide the last digits.
        redo: which of the runs that have a record are made again.
        limit: seconds that one fit, or all predictions of one run, may take.
        plan: what the folder is about; kept beside the records.
        keep_models: keep each run's fitted predictor beside its record; a run that has none is made again.
        on: where jobs run.
    """
    stack = Stack.now()
    if keep_models:
        refuse_streamed(runs)
    with store.writing(folder):
        if plan is not None:
            write_plan(folder, plan)
        shelf = store.read_all(folder)
        records = shelf.records
        attempts = to_do(runs, records, redo, stack) | (without_model(runs, shelf) if keep_models else {})
        if not attempts:
            return []
        jobs = [run for run in runs if run.run_id in attempts]
        place = Place(folder, workers, runs[0].device, lambda words: console.print(words, highlight=False))
        console.print(f"{len(jobs)} of {len(runs)} runs to make, on {on.name} → {folder}", highlight=False)
        fits, made = FitStore(folder / ".fits"), []
        with on.opened(place) as executor, SuiteProgress(console, weights(jobs, records)) as progress:
            threads = 1 if place.device == "cpu" else executor.threads
            with LocalExecutor(cores()) as planner:
                schedule = scheduled(jobs, planner, fits, stack, threads, limit)
            for ended in schedule.make(executor, executor.at_once, lambda: progress.take(executor.reports)):
                outcome = outcome_of(ended, attempts[ended.run.run_id], stack)
                state = fits.get(ended.fit.key) if keep_models else None
                path = keep(folder, outcome, model_file(ended.run, state[0].state, outcome) if state else None)
                progress.finish(ended.run, outcome.record, path)
                made.append(outcome.record)
        fits.drop()
        return made


def weights(runs: Sequence[Run], records: Sequence[Record]) -> dict[str, float]:
    """How much of the suite each run is: the seconds it may take, or a typical number where nothing is known."""
    known = estimates(runs, records)
    typical = sum(known.values()) / len(known) if known else 1.0
    return {run.run_id: known.get(run.run_id, typical) for run in runs}


def keep(folder: Path, outcome: Outcome, model: bytes | None = None) -> Path:
    """Keep a record, its predictions, scores, fitted model and what the run printed: one that is there has them all."""
    record = outcome.record
    while (path := store.path_of(folder, record)).exists():  # damaged, or put there by a method: it stays
        record = record.model_copy(update={"attempt": record.attempt + 1})
    if outcome.scores is not None:
        scores.write_scores(path, outcome.scores)
    if model is not None:
        store.write_once(store.beside(path, SUFFIX), model, replace=True)
    return store.keep(folder, record, outcome.predictions, outcome.log)
