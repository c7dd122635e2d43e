"""An ensemble of five trained together against the same members one after the other, in seconds of one core."""

import statistics
import time
from dataclasses import replace

import pytest
import torch

from baselines.deep_ensemble import DeepEnsemble
from baselines.spec import parse
from benchmarks.measure.environment import Stack
from benchmarks.nodes import setting_of
from benchmarks.prepare import prepare
from benchmarks.problem import make_problem
from benchmarks.runs import Run
from benchmarks.sealing import open_fitting
from benchmarks.suite import load_task

ROUNDS = 5


@pytest.mark.parametrize(("name", "steps"), [("mnist5k-lenet5", 40), ("diabetes-mlp", 150), ("digits-cnn", 6)])
def test_five_members_together_against_one_after_the_other(benchmark, name, steps):
    torch.set_num_threads(1)
    task = load_task(name)
    setting = setting_of(Run(task, prepare(task), parse("map"), 0), Stack.now(), 1)
    whole = make_problem(setting, open_fitting(setting, torch.device("cpu"), task.recipe))
    problem = replace(whole, recipe=task.recipe.changed({"max_steps": steps}))
    times = {True: [], False: []}

    def both():
        for together in times:
            start = time.process_time()  # of one thread: what else the machine does is not counted
            DeepEnsemble(members=5, together=together).fit(problem)
            times[together].append(time.process_time() - start)

    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=1)
    ratios = [a / b for a, b in zip(times[True], times[False], strict=True)][1:]
    benchmark.extra_info["ratio"] = ratio = statistics.median(ratios)
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"\n{name}, five together : one after the other = {ratio:.2f} (median of {ROUNDS} pairs; {spread})")
