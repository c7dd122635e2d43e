"""What the harness adds to training: MAP through `train` against a bare loop over the same tensors."""

import math
import statistics
import time

import torch
from torch.nn import functional as F

from baselines.map import MAP
from baselines.seeds import derive_seed
from baselines.spec import parse
from benchmarks.measure.environment import Stack
from benchmarks.nodes import setting_of
from benchmarks.prepare import prepare
from benchmarks.problem import make_problem
from benchmarks.runs import Run
from benchmarks.sealing import open_fitting
from benchmarks.suite import load_task

ROUNDS = 5


def bare_loop(problem, x_all, y_all):
    """The same training written by hand on normalized tensors in memory."""
    recipe, model = problem.recipe, problem.new_model()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    total, size, step = recipe.steps(len(x_all)), recipe.batch_size, 0
    warmup = round(recipe.warmup * total)
    model.train()
    for epoch in range(recipe.epochs):
        generator = torch.Generator().manual_seed(derive_seed(problem.seeds.order, 0, epoch))
        order = torch.randperm(len(x_all), generator=generator)
        for start in range(0, len(x_all) - size + 1, size):
            index = order[start : start + size]
            x, y = x_all[index], y_all[index]
            rise, fall = (step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
            optimizer.param_groups[0]["lr"] = recipe.lr * (rise if step < warmup else fall)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            step += 1
    return model


def test_map_through_the_harness_against_a_bare_loop(benchmark):
    torch.set_num_threads(1)
    task = load_task("mnist5k-lenet5")
    task = task.model_copy(update={"recipe": task.recipe.model_copy(update={"epochs": 4})})
    setting = setting_of(Run(task, prepare(task), parse("map"), 0), Stack.now(), 1)
    problem = make_problem(setting, open_fitting(setting, torch.device("cpu"), task.recipe)).of(MAP())
    x_all, y_all = next(problem.train.ordered(problem.train.num_examples))
    times = {"harness": [], "bare": []}

    def both():
        for name, fit in (("harness", lambda: MAP().fit(problem)), ("bare", lambda: bare_loop(problem, x_all, y_all))):
            start = time.perf_counter()
            fit()
            times[name].append(time.perf_counter() - start)

    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=1)
    pairs = list(zip(times["harness"], times["bare"], strict=True))[1:]
    ratios = [a / b for a, b in pairs]
    ratio = statistics.median(ratios)
    benchmark.extra_info["ratio"] = ratio
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    print(f"\nMAP fit, harness : bare loop = {ratio:.3f} (median of {len(ratios)} pairs; {spread})")
