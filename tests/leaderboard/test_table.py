"""The table is a pure fold of results: what a cell says, what is marked, and what costs are ratios of."""

import math
import random

import pytest
from builders import made, plan_of, result, results, sha

from leaderboard.columns import UnknownColumn, column, columns
from leaderboard.cost import CostRecord, MethodCost
from leaderboard.statistics import Interval
from leaderboard.table import Bound, fold
from leaderboard.views.cells import cell

SEEDS = (0.90, 0.91, 0.92, 0.93, 0.94)


def shifted(by, spread=0.0):
    return [value + by + spread * (-1) ** i for i, value in enumerate(SEEDS)]


def row_of(rows, method="map", **options):
    return next(row for row in fold(rows, **options).rows if row.method == method)


def names(board):
    return [row.method for row in board.rows]


def test_a_cell_is_the_mean_over_seeds_with_its_t_interval():
    row = row_of(results("map", 0.90, 0.92, 0.94))
    interval = row.metrics["accuracy"]
    assert row.n == 3 and interval.mean == pytest.approx(0.92)
    half = 4.302652729911275 * 0.02 / math.sqrt(3)  # t quantile of 2 degrees of freedom
    assert (interval.low, interval.high) == pytest.approx((0.92 - half, 0.92 + half))


def test_an_interval_ends_at_the_limits_of_its_metric():
    row = row_of(results("map", 0.6, 0.99))
    assert row.metrics["accuracy"].high == 1.0 and row.metrics["accuracy"].low == 0.0
    assert row.metrics["nll"].low == 0.0 and row.metrics["nll"].high > 1.0


def test_ranked_rows_come_first_and_the_best_nll_leads():
    rows = [*results("map", 0.8), *results("b", 0.9), *results("c", 0.99, environment={"dirty": True})]
    assert names(fold(rows)) == ["b", "map", "c"]


def test_the_order_of_records_changes_nothing():
    rows = [*results("map", *SEEDS), *results("b", *SEEDS), *results("b", *SEEDS, environment={"dirty": True})]
    shuffled = random.Random(0).sample(rows, len(rows))
    assert {row.method: row.metrics for row in fold(rows).rows} == {r.method: r.metrics for r in fold(shuffled).rows}


def test_the_best_group_and_those_told_to_be_worse_are_marked_apart():
    rows = [*results("map", *SEEDS), *results("same", *shifted(0.001, 0.01)), *results("bad", *shifted(-0.4, 0.01))]
    found = {row.method: row for row in fold(rows).rows}
    assert {name for name, row in found.items() if "accuracy" in row.top} == {"map", "same"}
    assert {name for name, row in found.items() if "accuracy" in row.worse} == {"bad"}


def test_a_wide_spread_behind_a_row_that_was_told_to_be_worse_is_in_neither_group():
    wide = (0.1, 0.9, 0.1, 0.9, 0.2)
    rows = [*results("map", *SEEDS), *results("close", *shifted(-0.03, 0.001)), *results("wide", *wide)]
    found = {row.method: row for row in fold(rows).rows}
    assert "nll" in found["map"].top and "nll" in found["close"].worse
    assert "nll" not in found["wide"].top and "nll" not in found["wide"].worse


@pytest.mark.parametrize("n", [1, 2, 3])
def test_nothing_is_marked_at_three_seeds_or_fewer(n):
    board = fold([*results("map", *SEEDS[:n]), *results("bad", *shifted(-0.5, 0.001)[:n])])
    assert all(not row.top and not row.worse for row in board.rows)
    board = fold([*results("map", *SEEDS[:4]), *results("bad", *shifted(-0.5, 0.001)[:4])])
    assert "nll" in board.rows[0].top and "nll" in board.rows[1].worse


def test_a_row_that_is_not_ranked_is_in_no_group_and_keeps_nobody_out():
    rows = [*results("map", *SEEDS), *results("bad", *shifted(-0.5, 0.01))]
    rows += results("best", *shifted(0.05, 0.001), environment={"dirty": True})
    found = {row.method: row for row in fold(rows).rows}
    assert "nll" in found["map"].top and not found["best"].top and not found["best"].worse


def test_one_ranked_row_has_nothing_to_be_told_from():
    (row,) = fold(results("map", *SEEDS)).rows
    assert row.top == row.worse == frozenset()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_one_seed_that_is_not_finite_shows_sorts_last_and_is_in_no_group(bad):
    spoilt = results("bad", *shifted(0.05))
    spoilt[1] = result("bad", 1, metrics={"test": {"accuracy": 0.96, "nll": bad}})
    rows = fold([*spoilt, *results("map", *SEEDS), *results("worse", *shifted(-0.5, 0.01))]).rows
    assert [row.method for row in rows] == ["map", "worse", "bad"]
    assert "nll" not in rows[-1].top and not math.isfinite(rows[-1].metrics["nll"].mean)


def test_rows_are_sorted_by_any_column_the_best_first():
    rows = [result("map", accuracy=0.8, fit_s=1.0), result("b", accuracy=0.9, fit_s=2.0)]
    for name, order in (("accuracy", ["b", "map"]), ("nll", ["b", "map"]), ("fit_seconds", ["map", "b"])):
        assert names(fold(rows, chosen=columns(["ece"]), sort=column(name))) == order


def test_differences_are_paired_by_seed():
    rows = [*results("map", 0.5, 0.9), *results("other", 0.61, 0.99)]
    found = row_of(rows, "other", against="map").metrics["accuracy"]
    half = 12.706204736432095 * 0.01  # t quantile of 1 degree of freedom, standard error of 0.09 and 0.11
    assert found == pytest.approx((0.1, 0.1 - half, 0.1 + half))
    best = {row.method: row for row in fold(rows, against="best").rows}
    assert best["map"].metrics["accuracy"].mean == pytest.approx(-0.1)
    assert best["other"].metrics["accuracy"].mean == 0.0


def test_what_rows_are_compared_against_need_not_keep_the_bounds():
    rows = [*results("map", 0.5, 0.6), *results("other", 0.7, 0.9)]
    board = fold(rows, against="map", where=[Bound(column("accuracy"), ">=", 0.7)])
    assert names(board) == ["other"] and board.rows[0].metrics["accuracy"].mean == pytest.approx(0.25)


def test_runs_that_may_not_stand_beside_each_other_are_not_paired():
    rows = [*results("map", 0.5, 0.6), *results("old", 0.7, 0.9, environment={"code": sha("older")})]
    assert row_of(rows, "old", against="map").metrics["accuracy"] is None


def test_the_best_within_bounds_is_the_best_of_the_rows_that_keep_them():
    rows = [
        result(name, seed, accuracy + seed / 1000 + noise * (-1) ** seed, fit_s=fit_s)
        for seed in range(4)
        for name, accuracy, noise, fit_s in (
            ("map", 0.8, 0, 1.0),
            ("dear", 0.95, 0.001, 5.0),
            ("fair", 0.9, 0.002, 1.1),
        )
    ]
    assert names(fold(rows)) == ["dear", "fair", "map"]
    board = fold(rows, where=[Bound(column("fit"), "<=", 1.2)])
    assert names(board) == ["fair", "map"] and "accuracy" in board.rows[0].top
    assert fold(rows, where=[Bound(column("fit"), ">=", 9.0)]).rows == []
    assert fold(rows, where=[Bound(column("energy"), ">=", 0.0)]).rows == [], "what was not measured is not kept"


def test_a_row_for_every_run_leaves_none_out_and_ranks_each_by_itself():
    rows = [result("map", 1, 0.9), result("map", 0, 0.8), result("other", 0, status="diverged")]
    found = fold(rows, runs=True).rows
    assert [row.method for row in found] == ["map, seed 0", "map, seed 1", "other, seed 0"]
    assert [row.metrics["accuracy"].mean for row in found[:2]] == [0.8, 0.9]
    assert [row.ranked for row in found] == [True, True, False] and "diverged" in found[2].reason


def cost_record(*entries, **changes):
    """A measurement; an entry is a method, its ratio to MAP in each round, and how many rounds."""
    one = made()
    methods = [
        MethodCost(
            label=name, method=made(name).identity.method, fit_s=[ratio + i / 100 for i in range(rounds)],
            map_fit_s=[1.0] * rounds, predict_s=[ratio] * rounds, map_predict_s=[1.0] * rounds,
            fit_memory=round(100 * ratio), predict_memory=10,
        )
        for name, ratio, rounds in entries
    ]  # fmt: skip
    values = {
        "task": one.identity.task, "device": "cpu", "environment": one.environment, "steps": 3, "recipe_steps": 3,
        "batch_size": 10, "methods": methods,
    }  # fmt: skip
    return CostRecord(**values | changes)


def test_costs_of_runs_are_ratios_to_map_of_the_same_seed_and_are_not_marked():
    rows = [
        result(name, seed, fit_s=fit * 10**seed)
        for seed in range(5)
        for name, fit in (("map", 1.0), ("other", 2.0 + seed / 100))
    ]
    found = row_of(rows, "other")
    assert found.metrics["fit"].mean == pytest.approx(2.02), "paired: the slow seed cancels"
    assert found.rounds == 0 and "fit" not in found.worse and "fit" not in row_of(rows).top
    assert found.metrics["memory"] is None, "resident memory of a run is another thing than tensors at the peak"


def test_without_map_there_is_no_ratio_rather_than_a_wrong_one():
    assert row_of([result("other")], "other").metrics["fit"] is None
    odd = [result("map"), result("other", environment={"device_name": "faster"})]
    assert row_of(odd, "other").metrics["fit"] is None


def test_where_ivi_cost_measured_a_row_no_ratio_of_separate_runs_stands_in_its_column():
    rows = [*results("map", *SEEDS), *results("a", *SEEDS, fit_s=7.0), *results("b", *SEEDS, fit_s=7.0)]
    costs = [cost_record(("map", 1.0, 7), ("a", 2.0, 7))]
    found = {row.method: row for row in fold(rows, costs=costs).rows}
    assert found["a"].metrics["fit"] == pytest.approx((2.03, 2.015, 2.045)) and found["a"].rounds == 7
    assert found["b"].metrics["fit"] is None and found["a"].metrics["memory"].mean == 2.0
    assert "fit" in found["map"].top and "fit" in found["a"].worse


def test_rounds_of_two_measurements_are_never_tested_against_each_other():
    rows = [*results("map", *SEEDS), *results("a", *SEEDS), *results("b", *SEEDS)]
    costs = [cost_record(("map", 1.0, 7), ("a", 2.0, 7)), cost_record(("map", 1.0, 7), ("b", 3.0, 7))]
    found = {row.method: row for row in fold(rows, costs=costs).rows}
    assert [found[name].metrics["fit"].mean for name in ("a", "b")] == pytest.approx([2.03, 3.03])
    assert all("fit" not in row.top | row.worse for row in found.values())


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": made(environment={"code": sha("edited")}).environment},
        {"environment": made(environment={"packages": {"torch": "3"}}).environment},
        {"environment": made(environment={"device_name": "another"}).environment},
        {"device": "cuda"},
        {"task": made(task="another").identity.task},
    ],
)
def test_costs_under_other_code_or_on_another_machine_are_not_those_of_the_runs(changes):
    costs = [cost_record(("map", 1.0, 7), **changes)]
    assert row_of(results("map", *SEEDS), costs=costs).rounds == 0


METRICS = {
    "test": {"accuracy": 0.9, "nll": 0.3, "ece_scaled": 0.01},
    "ood_near": {"auroc_max_probability": 0.8, "fpr95_entropy": 0.2},
    "ood_near/glyphs": {"auroc_max_probability": 0.7, "fpr95_entropy": 0.1},
    "shift/3": {"accuracy": 0.6, "nll": 1.1, "ece": 0.2, "ece_debiased": 0.1},
    "shift/fog/3": {"accuracy": 0.5, "nll": 1.2, "ece": 0.3, "ece_debiased": 0.2},
}


@pytest.mark.parametrize(
    ("name", "value", "title"),
    [
        ("ece_scaled", 0.01, "ECE scaled ↓"),
        ("NLL", 0.3, "NLL, nats ↓"),
        ("auroc_near", 0.8, "near AUROC ↑"),
        ("fpr95_entropy_near", 0.2, "near FPR at 95 % TPR entropy ↓"),
        ("nll_severity_3", 1.1, "severity 3 NLL, nats ↓"),
        ("ood_near/glyphs:auroc_max_probability", 0.7, "ood_near/glyphs AUROC ↑"),
        ("shift/fog/3:nll", 1.2, "shift/fog/3 NLL, nats ↓"),
        ("parameters", 7.0, "parameters ↓"),
        ("predict_seconds", 50.0, "predict, ms per example ↓"),
    ],
)
def test_a_column_is_named_by_its_metric_and_set(name, value, title):
    one = result(metrics=METRICS)
    found = column(name, [one])
    assert found.value(one) == pytest.approx(value) and found.title == title


def test_every_record_is_asked_for_its_columns():
    old = result("map", 0, metrics={"test": {"nll": 0.3}, "ood_near": {"auroc_entropy": 0.5}})
    new = result(
        "map", 1, metrics={"test": {"nll": 0.3, "augrc": 0.1}, "ood_near": {"auroc_entropy": 0.5, "new_score": 1.0}}
    )
    assert column("augrc", [old, new]).value(new) == 0.1 and column("new_score_near", [old, new]).value(old) is None


def test_groups_of_columns_follow_the_records():
    one = result(metrics=METRICS)
    keys = [found.key for found in columns(["near", "shift"], [one])]
    assert keys[0] == "auroc_near" and keys[4:] == ["accuracy_severity_3", "nll_severity_3", "ece_debiased_severity_3"]
    assert columns(["shift"], [result()]) == []


def test_records_of_numbers_have_a_table_too():
    numbers = {"test": {"rmse": 1.0, "nll": -0.5, "crps": 0.4}, "shift/3": {"rmse": 2.0, "nll": 0.1}}
    one = result(metrics=numbers, task="numbers")
    assert [found.key for found in columns(None, [one])][:3] == ["rmse", "nll", "crps"]
    assert [found.key for found in columns(["shift"], [one])] == ["nll_severity_3", "rmse_severity_3"]
    assert fold([one], chosen=columns(["all"], [one])).rows[0].metrics["rmse_severity_3"].mean == 2.0


@pytest.mark.parametrize("name", ["nlll", "NLLL", "acuracy"])
def test_an_unknown_column_names_those_that_may_be_meant(name):
    with pytest.raises(UnknownColumn) as error:
        columns([name])
    assert {"nll", "accuracy"} <= set(error.value.known) and error.value.name == name.lower()


@pytest.mark.parametrize(
    ("name", "said"), [("shift", "no record has a column of 'shift'"), ("near", "several columns")]
)
def test_one_column_is_no_group(name, said):
    with pytest.raises(ValueError, match=said):
        column(name)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(0.5, 0.4, 0.6), "0.500 ± 0.100"),
        (Interval(0.9, 0.7, 1.0), "0.900 [0.700, 1.000]"),
        (Interval(0.5, math.nan, math.nan), "0.500"),
        (Interval(math.nan, math.nan, math.nan), "NaN"),
        (Interval(math.inf, math.nan, math.nan), "∞"),
        (None, "–"),
    ],
)
def test_a_cell_shows_what_is_known(interval, text):
    assert cell(interval, 3, ends=True) == text


def test_a_table_has_the_rows_of_its_plan_made_or_not():
    plan = plan_of(made("map"), made("laplace"))
    board = fold(results("map", 0.9), plan)
    assert [(row.method, row.n, row.ranked) for row in board.rows] == [("map", 1, True), ("laplace", 0, False)]


def test_a_row_with_a_seed_at_chance_does_not_decide_what_could_be_told():
    trained = [*results("map", *SEEDS), *results("a", *shifted(0.01, 0.002))]
    failed = results("b", 0.05, *SEEDS[1:])
    found = [fold(rows).detectable["task"]["accuracy"] for rows in (trained, [*trained, *failed])]
    assert found[0] == found[1] < 0.02
