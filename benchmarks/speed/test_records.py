"""How long the table of 10,000 records takes: 20 methods on 10 tasks with 50 seeds, each run with its scores, one plan.

The first table reads every file, and leaves an index for those that follow (`leaderboard.index`).

All are made from one real record and its scores, ``record.json`` and ``record.scores.json``, by other names, seeds and
numbers. Run with ``pytest benchmarks/speed/test_records.py -s``, or ``python benchmarks/speed/test_records.py FOLDER``
to make the records alone, for ``ivi table speed --folder FOLDER``. Times are printed beside the target, not asserted: a
busy machine is no fault of the code.
"""

from __future__ import annotations

import gc
import shutil
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from leaderboard.identity import Identity
from leaderboard.index import SETTLED
from leaderboard.plan import Plan, planned_run, read_plan, write_plan
from leaderboard.record import Record
from leaderboard.results import load_results
from leaderboard.scores import Scores, scores_path
from leaderboard.store import path_of
from leaderboard.table import fold

METHODS, TASKS, SEEDS = 20, 10, 50
TARGET = 0.6
"""Seconds of one core, files in the system's cache, for every table but the first."""
HERE = Path(__file__).parent


class Real(NamedTuple):
    """A record that was made by `ivi run quick`, and its scores."""

    record: Record
    scores: Scores


def real() -> Real:
    record, scores = (HERE / name for name in ("record.json", "record.scores.json"))
    return Real(Record.model_validate_json(record.read_bytes()), Scores.model_validate_json(scores.read_bytes()))


def variant(one: Real, method: int, task: int, seed: int, rng: np.random.Generator) -> Real:
    """The same run of another method, task and seed; the numbers differ a little."""
    record, scores = one
    old, name = record.identity, f"method{method}" if method else "map"
    changed = old.task.model_copy(update={"name": f"task{task}"})
    resolved = old.method.model_copy(update={"name": name, "resolved": {"rank": method}})
    who = Identity(task=changed, method=resolved, seed=seed)
    sha256 = f"{rng.integers(2**62):064x}"
    changes = {"identity": who, "run_id": who.run_id, "label": name}
    changes["predictions"] = record.predictions.model_copy(update={"sha256": sha256})
    sets = {name: {key: noisy(value, rng) for key, value in row.items()} for name, row in scores.sets.items()}
    return Real(record.model_copy(update=changes), scores.model_copy(update={"predictions": sha256, "sets": sets}))


def noisy(value: float, rng: np.random.Generator) -> float:
    return float(f"{value * (1.0 - 0.01 * rng.random()):.10g}")


def make(folder: Path, methods: int = METHODS, tasks: int = TASKS, seeds: int = SEEDS) -> None:
    """Write the records, their scores and the plan ``speed`` below ``folder``."""
    one, rng, runs = real(), np.random.default_rng(0), []
    for task in range(tasks):
        for method in range(methods):
            for seed in range(seeds):
                record, scores = variant(one, method, task, seed, rng)
                path = path_of(folder, record)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(record.model_dump_json(indent=1) + "\n")
                scores_path(path).write_text(scores.model_dump_json(indent=1) + "\n")
                runs.append(planned_run(record.identity, record.label, not method))
    write_plan(folder, Plan(suite="speed", description="made from one record", runs=tuple(runs)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("records")
    make(made)
    time.sleep(SETTLED / 1e9)
    return made


@pytest.mark.parametrize("kind", ["without an index", "first", "with an index"])
def test_a_table_of_ten_thousand_records(folder, kind, tmp_path_factory):
    seconds: dict[str, list[float]] = {"plan": [], "records and scores": [], "fold": [], "all": []}
    cache = None if kind == "without an index" else tmp_path_factory.getbasetemp() / "cache"
    for _ in range(7 if cache and kind != "first" else 3):
        if cache and kind == "first":
            shutil.rmtree(cache, ignore_errors=True)
        gc.collect()
        moments = [time.process_time()]
        plan = read_plan(folder, "speed")
        moments.append(time.process_time())
        results = load_results(folder, cache)
        moments.append(time.process_time())
        board = fold(results.results, plan)
        moments.append(time.process_time())
        found = [*(end - start for start, end in pairwise(moments)), moments[-1] - moments[0]]
        for kept, one in zip(seconds.values(), found, strict=True):
            kept.append(one)
        assert not results.findings and len(results.results) == METHODS * TASKS * SEEDS
        assert len(board.rows) == METHODS * TASKS and all(row.n == SEEDS and row.ranked for row in board.rows)
        del plan, results, board
    print(f"\n{kind}")
    for name, kept in seconds.items():
        print(f"{name:20} {statistics.median(kept):.3f} s (least {min(kept):.3f})")
    print(f"{'target of all':20} {TARGET:.3f} s")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
