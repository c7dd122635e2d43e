"""What `ivi cost` measures: ratios to MAP that show what a method does, whatever the length of the fits."""

import time
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from baselines.protocol import Problem
from baselines.recipe import Recipe
from baselines.spec import parse
from benchmarks.measure import cost
from benchmarks.measure.clock import Clock
from benchmarks.measure.cost import BATCH_SIZE, SHORTEST, _Subject, _Turns, _whole, costs_of, lengths_of
from benchmarks.measure.environment import Stack
from benchmarks.measure.probe import (
    DropoutCalls,
    FirstBatches,
    fit_flops,
    peak_bytes,
    predict_flops,
    probe,
    scaled,
    shortened,
)
from benchmarks.nodes import setting_of
from benchmarks.prepare import prepare
from benchmarks.problem import make_problem
from benchmarks.runs import Run, task_identity
from benchmarks.sealing import open_fitting
from benchmarks.suite import load_task
from leaderboard.cost import MethodCost, quartiles, ratios, read_costs, write_cost
from leaderboard.store import read_all

METHODS = Path(__file__).parent.parent / "baselines" / "methods"
TWICE = f"{METHODS / 'twice.py'}:Twice"
CPU = torch.device("cpu")


def problem_of(name, task="digits-mlp"):
    """A method, and its problem as a run has it."""
    task = load_task(task)
    setting = setting_of(Run(task, prepare(task), parse(name), 0), Stack.now(), 1)
    method = setting.method.create()
    return method, make_problem(setting, open_fitting(setting, CPU, task.recipe)).of(method)


class Passes(Clock):
    """Tells passes through dense layers in place of seconds: whatever else the machine does."""

    def __init__(self, device):
        super().__init__(device)
        self.passes = 0
        self.hook = register_module_forward_hook(self.count)

    def count(self, module, inputs, outputs):
        self.passes += isinstance(module, nn.Linear)

    def now(self):
        return float(self.passes)


@pytest.fixture(scope="module")
def measured():
    """Four methods on the task that takes seconds."""
    names = [TWICE, "laplace", f"{METHODS / 'broken.py'}:Raises"]
    seen, task, clocks = [], load_task("digits-mlp"), []
    specs = list(map(parse, names))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "Clock", lambda device: clocks.append(Passes(device)) or clocks[0])
        record = costs_of(task, prepare(task), specs, "cpu", 1, 3, 60, lambda *at: seen.append(at))
    clocks[0].hook.remove()
    return record, seen


def by_name(record):
    return {cost.label: cost for cost in record.methods}


def test_a_method_that_does_everything_twice_costs_twice(measured):
    base, twice = by_name(measured[0])["map"], by_name(measured[0])["twice"]
    assert twice.fit_flops == 2 * base.fit_flops and twice.predict_flops == 2 * base.predict_flops
    assert twice.parameters == 2 * base.parameters and twice.state_bytes == 2 * base.state_bytes
    assert set(ratios(twice, base, "fit").values()) == {2} == set(ratios(twice, base, "predict").values())


def test_map_is_measured_against_itself_and_shows_the_noise(measured):
    base = measured[0].methods[0]
    assert base.label == "map" and len(base.fit_s) == measured[0].rounds == 3
    assert quartiles(ratios(base, base, "fit").values()) == (1, 1, 1)
    assert ratios(base, base, "memory") == {0: 1.0}


def test_a_pass_over_the_training_set_is_charged_once_and_not_per_step(measured):
    """MAP's steps grow with the recipe, the pass of Laplace does not: its part is larger in a short fit."""
    method, problem = problem_of("laplace")
    short, long = fit_flops(method, shortened(problem, 20)), fit_flops(method, shortened(problem, 2000))
    base, _ = problem_of("map")
    steps = fit_flops(base, shortened(problem, 2000)) - fit_flops(base, shortened(problem, 20))
    assert long - short == steps > 0


def test_what_fails_has_its_reason_in_place_of_numbers(measured):
    broken = by_name(measured[0])["raises"]
    assert broken.error == "RuntimeError: the flux capacitor is empty" and broken.fit_s == []


def test_progress_ends_where_it_said(measured):
    *_, (done, total) = measured[1]
    assert done <= total and [at[0] for at in measured[1]] == list(range(1, done + 1))


def test_flops_of_a_short_fit_are_those_of_the_whole_one():
    for name in ("map", "deep_ensemble(members=2)", "laplace", "implicit_vi", "kl_vi", "mc_dropout"):
        method, problem = problem_of(name)
        small = shortened(problem, 6, 3)
        with FlopCounterMode(display=False) as counter:
            method.fit(small)
        assert fit_flops(method, small) == pytest.approx(counter.get_total_flops(), rel=1e-6), name


def test_flops_of_a_prediction_are_twice_its_multiplications():
    method, problem = problem_of("map")
    predictor = method.predictor(problem)
    linear = [module for module in predictor.modules() if isinstance(module, nn.Linear)]
    x = torch.zeros(10, *problem.example.shape[1:])
    assert predict_flops(predictor, x) == 10 * 2 * sum(layer.weight.numel() for layer in linear)


def test_memory_is_that_of_tensors_at_the_peak_and_repeats():
    def work():
        first = torch.zeros(1_000_000)
        second = first + 1
        del first, second
        return torch.zeros(500_000)

    first, second = (peak_bytes(CPU, work) for _ in range(2))
    assert first == second and 8_000_000 <= first < 8_001_000


class SlowAtFirst:
    """Outputs of zeros, of which the first take as long as loading a library."""

    def __init__(self, outputs):
        self.outputs_of, self.asked = outputs, 0

    def outputs(self, x):
        self.asked += 1
        time.sleep(0.5 if self.asked == 1 else 0.001)
        return torch.zeros(1, len(x), self.outputs_of)


def test_a_first_prediction_that_loads_libraries_does_not_make_the_timed_ones_too_short():
    method, problem = problem_of("map")
    asked = FirstBatches.of(problem.validation, BATCH_SIZE, 1)
    subject = _Subject(method, problem, SlowAtFirst(problem.likelihood.outputs), MethodCost.model_construct())
    turns = _Turns(Clock(CPU), None, [1], 1, asked)
    turns.repeat(subject)
    assert turns.predict(subject).seconds * subject.repeats * asked.num_examples > SHORTEST / 2


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (Recipe(epochs=8, batch_size=50, lr=0.1), [160]),
        (Recipe(epochs=50, batch_size=50, lr=0.1), [20, 200]),
        (Recipe(epochs=50, batch_size=5, lr=0.1), [21, 210]),
        (Recipe(max_steps=5000, batch_size=50, lr=0.1), [21, 210]),
    ],
)
def test_long_recipes_are_timed_at_two_lengths(recipe, expected):
    assert lengths_of(recipe, 1000, 210) == expected


def test_seconds_of_a_whole_fit_are_drawn_out_from_two_lengths():
    assert _whole([0.5 + 20 * 0.01, 0.5 + 200 * 0.01], [20, 200], 1000) == pytest.approx(0.5 + 1000 * 0.01)
    assert _whole([1.0, 0.9], [20, 200], 1000) == 1.0  # a busy moment: no line through these says what a fit takes


def test_a_shortened_recipe_in_epochs_stays_one():
    _, problem = problem_of("map")
    assert shortened(problem, 40).recipe.epochs == 2 and shortened(problem, 30).recipe.max_steps == 30
    assert shortened(problem, 3, 3).recipe.epochs == 1 and shortened(problem, 3, 3).train.num_examples == 150


@pytest.mark.parametrize(
    ("name", "expected"),
    [("map", []), ("mc_dropout", ["model.hidden.2", "model.hidden.5"]), ("mc_dropout(placement=head)", ["model.fc"])]
    + [("implicit_vi", ["net.hidden.0", "net.fc"]), ("mc_dropout(rate=0.0)", [])],
)
def test_the_audit_names_random_modules(name, expected):
    method, problem = problem_of(name)
    predictor = method.predictor(problem)
    assert probe(method, problem, predictor, torch.zeros(2, *problem.example.shape[1:])).random == expected


def test_dropout_that_drops_nothing_is_not_random():
    net, x = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)), torch.zeros(1, 2)
    for training, expected in ((True, [net[1]]), (False, [])):
        with DropoutCalls() as calls:
            net.train(training)(x)
        assert calls.modules == expected
    with DropoutCalls() as calls:
        F.dropout(net.train()[0](x), 0.0)
    assert calls.modules == []


def test_what_cannot_be_looked_at_is_none_and_harms_nobody():
    class Stubborn:
        def predictor(self, problem: Problem):
            raise RuntimeError("no")

        fit = predictor

    _, problem = problem_of("map")
    seen = probe(Stubborn(), problem, nn.Identity(), torch.zeros(1, 1, 8, 8))
    assert (seen.fit_flops, seen.predict_flops, seen.random) == (None, None, [])


def test_a_measurement_names_the_task_and_the_stack_of_runs_and_is_kept_beside_their_records(measured, tmp_path):
    record = measured[0]
    task = load_task("digits-mlp")
    assert record.task == task_identity(task, prepare(task)) and record.device == "cpu"
    assert record.environment.code == Stack.now().code and record.environment.threads == 1
    assert (record.steps, record.recipe_steps) == (60, 160)
    write_cost(tmp_path, record)
    assert read_costs(tmp_path).records == [record] and read_all(tmp_path).records == []


@pytest.mark.parametrize("name", ["swag(epochs=2)", "deep_ensemble(members=2, of=swag(epochs=2))", "laplace", "sghmc"])
def test_flops_of_a_fit_that_goes_on_from_another_are_those_of_both_by_recipes_of_their_own(name):
    method, problem = problem_of(name)
    with FlopCounterMode(display=False) as counter:
        method.fit(problem)
    assert fit_flops(method, problem) == pytest.approx(counter.get_total_flops(), rel=1e-6)


@pytest.mark.parametrize("name", ["swag(epochs=4)", "deep_ensemble(members=2, of=swag(epochs=4))"])
def test_half_of_a_fit_is_half_of_it_and_half_of_every_fit_that_it_asks_for(name):
    counts = []
    for part in (0.5, 1):
        method, problem = problem_of(name)
        with Clock(CPU)() as reading:
            method.fit(scaled(problem, part))
        counts.append(reading.steps)
    method, problem = problem_of("map")
    whole, members = problem.recipe.steps(problem.train.num_examples), 2 if "ensemble" in name else 1
    own = 4 * problem.recipe.steps_per_epoch(problem.train.num_examples)
    assert counts == [members * (whole // 2 + own // 2), members * (whole + own)]
