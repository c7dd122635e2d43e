"""Make the runs of a suite that are not done yet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from benchmarks.measure.environment import cores
from benchmarks.executors.local import prepare_data, run_jobs
from benchmarks.progress import SuiteProgress
from benchmarks.results import drop_fits, estimates, jobs_to_do, writing
from benchmarks.suite import Run
from leaderboard.record import Record, read_all


def make_runs(runs: Sequence[Run], folder: Path, workers: int | None, retry: bool, console: Console) -> list[Record]:
    """Make every run that has no record in ``folder`` yet and return all records that are there then.

    Args:
        runs: the plan.
        folder: where records go.
        workers: runs at a time; None: one per core on a CPU, one on a GPU. The cores are shared out among them.
        retry: repeat runs whose records are all bad, too.
        console: where progress is shown.
    """
    with writing(folder):
        records = read_all(folder)
        jobs = jobs_to_do(runs, records, retry)
        if not jobs:
            return records
        on_cpu = runs[0].device == "cpu"
        workers = min(workers or (cores() if on_cpu else 1), len(jobs))
        threads = max(1, cores() // workers)
        known = estimates(runs, records)
        typical = sum(known.values()) / len(known) if known else 1.0
        seconds = {job.run.run_id: known.get(job.run.run_id, typical) for job in jobs}
        plan = f"{len(jobs)} of {len(runs)} runs to make, {workers} at a time, torch threads: {threads} → {folder}"
        console.print(plan, highlight=False)
        with console.status("loading torch and the data"):
            for task in {job.run.task.name: job.run.task for job in jobs}.values():
                prepare_data(task)
        with (
            SuiteProgress(console, seconds) as progress,
            closing(run_jobs(jobs, folder, workers, threads, progress.advance)) as made,
        ):
            for run, record in made:
                progress.finish(run, record)
                records.append(record)
        drop_fits(folder)
        return records
