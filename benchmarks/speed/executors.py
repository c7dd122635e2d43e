"""What driver and executor add to runs: `python -m benchmarks.speed.executors local 200 5`; or `ray`.

Jobs sleep in place of computing (four fifths of a run for its fit, the rest for its predictions) and give back what a
real fit and real predictions of MAP on small digits gave; all else is as in `ivi run`: planning, states kept and read
back, answers scored, records written. On two workers n runs of s seconds would take n s / 2.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from baselines.spec import parse
from benchmarks.execute import keep
from benchmarks.executors.chosen import Place, chosen
from benchmarks.fits import FitStore, nodes_of
from benchmarks.measure.environment import Stack
from benchmarks.measure.jobs import FitJob, PredictJob, Uses, fit_key
from benchmarks.measure.run import measure
from benchmarks.nodes import setting_of
from benchmarks.outcome import outcome_of
from benchmarks.prepare import prepare
from benchmarks.runs import Run, runs_of
from benchmarks.schedule import Schedule
from benchmarks.suite import Suite, load_task
from leaderboard.store import writing

WORKERS = 2


def sleep(outcomes, seconds, job, report=None):
    fit = isinstance(job, FitJob)
    time.sleep(seconds * (0.8 if fit else 0.2))
    return outcomes[0] if fit else outcomes[1]


class Sleeping:
    """An executor whose jobs sleep."""

    def __init__(self, executor, outcomes, seconds):
        self.executor, self.work = executor, partial(sleep, outcomes, seconds)

    def submit(self, function, job):
        return self.executor.submit(self.work, job)


def suite_of(count):
    task = load_task("digits-mlp")
    suite = Suite(name="asleep", description="", tasks=("digits-mlp",), methods=("map",), seeds=tuple(range(count)))
    return runs_of(suite, {"digits-mlp": (task, prepare(task))}, "cpu")


def really(run: Run, stack: Stack):
    fitted = measure(FitJob(setting_of(run, stack, 1)))
    answers = measure(PredictJob(setting_of(run, stack, 1), fitted.state))
    return fitted, replace(answers, printed="")


def main(name="local", count="200", seconds="5"):
    runs, stack, console = suite_of(int(count)), Stack.now(), Console(quiet=True)
    outcomes = really(runs[0], stack)
    with tempfile.TemporaryDirectory() as scratch, writing(folder := Path(scratch) / "out"):
        place = Place(folder, WORKERS)
        with chosen(name).opened(place) as executor:
            asleep = Sleeping(executor, outcomes, float(seconds))
            first = [
                asleep.executor.submit(partial(sleep, outcomes, 0.0), PredictJob(setting_of(r, stack, 1), b""))
                for r in runs[:WORKERS]
            ]  # workers are started
            [one.result() for one in first]
            start, cpu = time.perf_counter(), time.process_time()
            key = fit_key(parse("map").label, 0, runs[0].task.recipe)
            found = {run.run_id: nodes_of(run, Uses(key, ()), setting_of(run, stack, 1), stack)[-1] for run in runs}
            nodes = {fit.key: fit for fit in found.values()}
            own = {run_id: fit.key for run_id, fit in found.items()}
            schedule = Schedule(runs, nodes, own, FitStore(folder / ".fits"))
            for ended in schedule.make(asleep, executor.at_once):
                outcome = outcome_of(ended, 1, stack)
                assert outcome.record.status == "ok", outcome.record.error
                console.print(keep(folder, outcome))
            took = time.perf_counter() - start
        ideal = int(count) * float(seconds) / WORKERS
        print(
            f"{name}: {count} runs of {seconds} s on {WORKERS} workers: {took:.1f} s, "
            f"{100 * (took / ideal - 1):.2f} % over"
        )
        print(f"the driver took {time.process_time() - cpu:.1f} s of processor time; load {os.getloadavg()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
