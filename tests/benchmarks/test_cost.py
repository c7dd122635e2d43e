"""What `ivi cost` measures: ratios to MAP that show what a method does, whatever the length of the fits."""

import json
from pathlib import Path

import pytest
import torch
from builders import made, records_like
from leaderboard.formats import as_markdown
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from baselines.protocol import Problem
from baselines.recipe import Recipe
from baselines.spec import parse
from benchmarks.measure.cost import _whole, lengths_of, measure
from benchmarks.measure.probe import DropoutCalls, fit_flops, peak_bytes, predict_flops, probe, shortened
from benchmarks.problem import load_task_data, make_problem
from benchmarks.suite import Run, load_task
from leaderboard.columns import columns
from leaderboard.cost import COST_SCHEMA, SUFFIX, quartiles, ratios, read_costs, write_cost
from leaderboard.record import RecordError, read_all
from leaderboard.table import fold, planned_of

METHODS = Path(__file__).parent.parent / "baselines" / "methods"
TWICE = f"{METHODS / 'twice.py'}:Twice"
CPU = torch.device("cpu")


def problem_of(name, task="digits-mlp") -> tuple:
    spec = parse(name)
    run, method = Run(task=load_task(task), method=spec, seed=0), spec.create()
    data = load_task_data(run.task)
    return method, make_problem(run, data, method, lambda other, given: other.fit(given), lambda done, total: None)


@pytest.fixture(scope="module")
def measured():
    """Four methods on the task that takes seconds."""
    names = [TWICE, "laplace", f"{METHODS / 'broken.py'}:Raises"]
    seen = []
    record = measure(load_task("digits-mlp"), list(map(parse, names)), "cpu", 1, 3, 60, lambda *at: seen.append(at))
    return record, seen


def by_name(record):
    return {cost.method.label.rpartition(":")[2]: cost for cost in record.methods}


def test_a_method_that_does_everything_twice_costs_twice(measured):
    base, twice = by_name(measured[0])["map"], by_name(measured[0])["Twice"]
    assert twice.fit_flops == 2 * base.fit_flops and twice.predict_flops == 2 * base.predict_flops
    assert twice.parameters == 2 * base.parameters and twice.state_bytes == 2 * base.state_bytes
    assert 1.6 < quartiles(ratios(twice, base, "fit").values()).median < 2.5
    assert 1.3 < quartiles(ratios(twice, base, "predict").values()).median < 2.7, "averaging members is not done twice"


def test_map_is_measured_against_itself_and_shows_the_noise(measured):
    base = measured[0].methods[0]
    assert base.method.label == "map" and len(base.fit_s) == measured[0].rounds == 3
    assert 0.6 < quartiles(ratios(base, base, "fit").values()).median < 1.6
    assert ratios(base, base, "memory") == {0: 1.0}


def test_a_pass_over_the_training_set_is_charged_once_and_not_per_step(measured):
    """MAP's steps grow with the recipe, the pass of Laplace does not: its part is larger in a short fit."""
    method, problem = problem_of("laplace")
    short, long = fit_flops(method, shortened(problem, 20)), fit_flops(method, shortened(problem, 2000))
    base, _ = problem_of("map")
    steps = fit_flops(base, shortened(problem, 2000)) - fit_flops(base, shortened(problem, 20))
    assert long - short == steps > 0


def test_what_fails_has_its_reason_in_place_of_numbers(measured):
    broken = by_name(measured[0])["Raises"]
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
    x = torch.zeros(10, *problem.input_shape)
    assert predict_flops(predictor, x) == 10 * 2 * sum(layer.weight.numel() for layer in linear)


def test_memory_is_that_of_tensors_at_the_peak_and_repeats():
    def work():
        first = torch.zeros(1_000_000)
        second = first + 1
        del first, second
        return torch.zeros(500_000)

    first, second = (peak_bytes(CPU, work) for _ in range(2))
    assert first == second and 8_000_000 <= first < 8_001_000


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
    assert probe(method, problem, predictor, torch.zeros(2, *problem.input_shape)).random == expected


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


def test_a_cost_record_is_kept_beside_the_records_and_is_none(measured, tmp_path):
    record = measured[0]
    path = write_cost(tmp_path, record)
    assert path.parent.name == "digits-mlp" and path.name.endswith(SUFFIX)
    assert read_costs(tmp_path) == [record] and read_all(tmp_path) == []
    with pytest.raises(FileExistsError):
        write_cost(tmp_path, record)


@pytest.mark.parametrize(
    ("change", "message"), [({"schema_version": COST_SCHEMA + 1, "x": 1}, "has schema"), ({"x": 1}, "x:")]
)
def test_a_damaged_cost_record_is_named(measured, tmp_path, change, message):
    path = write_cost(tmp_path, measured[0])
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RecordError, match=f"{path.name}: not a cost record: .*{message}"):
        read_costs(tmp_path)


def test_the_table_shows_alternated_ratios_and_says_so(measured):
    record = measured[0]
    records = records_like(record)
    rows = {row.method: row for row in fold(records, planned_of(records), costs=[record])}
    base, laplace = by_name(record)["map"], by_name(record)["laplace"]
    for kind in ("fit", "predict", "memory"):
        assert rows["laplace"].metrics[kind] == quartiles(ratios(laplace, base, kind).values())
    assert rows["laplace"].rounds == 3
    assert "alternated with MAP in one process (ivi cost), median of 3 rounds" in as_markdown(list(rows.values()))


@pytest.mark.parametrize(
    "other",
    [
        lambda record: records_like(record, device_name="another machine"),
        lambda record: [
            one.model_copy(update={"task": one.task.model_copy(update={"version": 99})}) for one in records_like(record)
        ],
        lambda record: [
            one.model_copy(update={"method": one.method.model_copy(update={"source_sha256": "edited"})})
            for one in records_like(record)
        ],
    ],
    ids=["device", "task version", "code"],
)
def test_costs_of_other_devices_tasks_or_code_are_never_shown(measured, other):
    records = other(measured[0])
    rows = fold(records, planned_of(records), costs=[measured[0]])
    assert all(row.rounds == 0 for row in rows)
    assert "of separate runs" in as_markdown(rows)


def test_ratios_of_two_kinds_are_told_apart(measured):
    record = measured[0]
    records = [*records_like(record), made("new", environment=records_like(record)[0].environment.model_dump())]
    records[-1] = records[-1].model_copy(update={"task": record.task})
    rows = fold(records, planned_of(records), costs=[record])
    assert "for map" in as_markdown(rows) and "others: ratio to MAP of the same seed" in as_markdown(rows)
    assert not any("fit" in row.top for row in rows), "what was measured in two ways is not compared"


def test_fewer_columns_need_no_legend_of_costs(measured):
    records = records_like(measured[0])
    chosen = columns(["nll"])
    assert "MAP" not in as_markdown(fold(records, planned_of(records), chosen), chosen).partition("\n\n")[2]
