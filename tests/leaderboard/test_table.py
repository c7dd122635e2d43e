"""The table is a pure fold of records: what it shows, and when a row is ranked."""

import csv
import io
import json
import math

import pytest
from builders import made

from leaderboard.columns import UnknownColumn, columns
from leaderboard.formats import as_csv, as_json, as_latex, as_markdown, cell
from leaderboard.record import Error
from leaderboard.statistics import Interval
from leaderboard.table import Bound, Planned, fold, fold_runs, planned_of

COLUMNS = columns()


def row_of(records, method="map", planned=None):
    rows = fold(records, planned or planned_of(records))
    return next(row for row in rows if row.method == method)


def test_a_cell_is_the_mean_over_seeds_with_its_t_interval():
    row = row_of([made(seed=0, accuracy=0.90), made(seed=1, accuracy=0.92), made(seed=2, accuracy=0.94)])
    interval = row.metrics["accuracy"]
    assert row.n == 3 and interval.mean == pytest.approx(0.92)
    half = 4.302652729911275 * 0.02 / math.sqrt(3)  # t quantile of 2 degrees of freedom
    assert (interval.low, interval.high) == pytest.approx((0.92 - half, 0.92 + half))


def test_the_best_within_bounds_is_the_best_of_the_rows_that_keep_them():
    seeds = range(4)
    records = [
        made(name, seed, accuracy=accuracy + seed / 1000, fit_s=fit_s)
        for seed in seeds
        for name, accuracy, fit_s in (("map", 0.8, 1.0), ("dear", 0.95, 5.0), ("fair", 0.9, 1.1))
    ]
    (fit,) = columns(["fit"])
    assert [row.method for row in fold(records, planned_of(records), sort=columns(["nll"])[0])] == [
        "dear",
        "fair",
        "map",
    ]
    rows = fold(records, planned_of(records), where=[Bound(fit, "<=", 1.2)])
    assert [row.method for row in rows] == ["fair", "map"] and "accuracy" in rows[0].top
    assert fold(records, planned_of(records), where=[Bound(fit, ">=", 9.0)]) == []


def test_a_bound_on_what_was_not_measured_is_not_kept():
    (fit,) = columns(["fit"])
    assert fold([made("other")], planned_of([made("other")]), where=[Bound(fit, ">=", 0.0)]) == []


def test_a_row_for_every_run_leaves_none_out_and_ranks_each_by_itself():
    records = [made(seed=1, accuracy=0.9), made(seed=0, accuracy=0.8), made("other", 0, status="diverged")]
    rows = fold_runs(records, planned_of(records))
    assert [row.method for row in rows] == ["map, seed 0", "map, seed 1", "other, seed 0"]
    assert [row.metrics["accuracy"].mean for row in rows[:2]] == [0.8, 0.9]
    assert [row.ranked for row in rows] == [True, True, False] and "diverged" in rows[2].reason


def test_costs_are_ratios_to_map_of_the_same_seed():
    records = [
        made(seed=0, fit_s=1.0), made(seed=1, fit_s=10.0),
        made("other", 0, fit_s=2.0), made("other", 1, fit_s=20.0),
    ]  # fmt: skip
    assert row_of(records, "other").metrics["fit"].mean == pytest.approx(2.0)
    assert row_of(records, "other").metrics["fit"].low == pytest.approx(2.0), "paired: the slow seed cancels"


def test_without_map_there_is_no_ratio_rather_than_a_wrong_one():
    assert row_of([made("other")], "other").metrics["fit"] is None


def test_a_failed_seed_stands_in_its_row_with_the_reason():
    records = [made(seed=0), made(seed=1, status="diverged", error=Error(reason="Diverged: the loss is nan"))]
    row = row_of(records)
    assert (row.n, row.ranked) == (1, False)
    assert row.reason == "1 of 2 seeds ok; seed 1 diverged: Diverged: the loss is nan"


def test_a_planned_run_that_was_never_made_is_no_hole():
    row = row_of([made()], planned=[Planned("map0", "task", "map", 0), Planned("map1", "task", "map", 1)])
    assert not row.ranked and row.reason == "1 of 2 seeds ok; seed 1 not run yet"
    assert row_of([], planned=[Planned("map0", "task", "map", 0)]).n == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"environment": {"dirty": True}}, "uncommitted changes"),
        ({"method_info": {"package": None}}, "loaded from a file"),
    ],
)
def test_a_row_is_not_ranked_and_says_why(changes, reason):
    row = row_of([made(**changes)])
    assert not row.ranked and reason in row.reason


def test_rows_from_different_devices_are_not_compared():
    records = [made(), made("other", environment={"device_name": "another machine"})]
    assert row_of(records, "map").ranked and "different devices" in row_of(records, "other").reason


def test_the_order_of_records_changes_nothing():
    records = [made(seed=s, accuracy=0.9 + s / 100) for s in range(3)]
    assert as_json(fold(records, planned_of(records))) == as_json(fold(records[::-1], planned_of(records)))


def test_ranked_rows_come_first_and_the_best_nll_leads():
    records = [made("a", accuracy=0.8), made("b", accuracy=0.9), made("c", accuracy=0.99, environment={"dirty": True})]
    assert [row.method for row in fold(records, planned_of(records))] == ["b", "a", "c"]


def test_json_is_a_list_of_rows_nan_is_a_string_and_null_was_not_measured():
    rows = json.loads(as_json(fold([made()], planned_of([made()]))))
    assert set(rows[0]) == {"task", "method", "n", "ranked", "reason", "metrics"}
    assert rows[0]["metrics"]["accuracy"] == {"mean": 0.9, "low": "NaN", "high": "NaN"}
    assert rows[0]["metrics"]["auroc_near"] is None, "not measured"


def test_csv_holds_every_number_of_the_rows():
    rows = fold([made(seed=0), made(seed=1, accuracy=0.7)], planned_of([made(seed=0), made(seed=1)]))
    (line,) = csv.DictReader(io.StringIO(as_csv(rows)))
    assert float(line["accuracy_low"]) == rows[0].metrics["accuracy"].low


def test_markdown_and_latex_have_a_cell_for_every_column():
    rows = fold([made(), made("my_method", environment={"dirty": True})], planned_of([made(), made("my_method")]))
    lines = as_markdown(rows).splitlines()
    assert {line.count(" | ") for line in lines[:4]} == {len(COLUMNS) + 1}
    assert "my_method [1]" in lines[3] and lines[5] == "[1] not ranked: the code had uncommitted changes"
    latex = as_latex(rows).partition("%")[0]
    assert r"my\_method" in latex and "±" not in latex and latex.count("&") == 3 * (len(COLUMNS) + 1)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(0.5, 0.4, 0.6), "0.500 ± 0.100"),
        (Interval(0.5, math.nan, math.nan), "0.500"),
        (Interval(math.nan, math.nan, math.nan), "NaN"),
        (Interval(math.inf, math.nan, math.nan), "∞"),
        (None, "–"),
    ],
)
def test_a_cell_shows_what_is_known(interval, text):
    assert cell(interval, 3) == text


@pytest.mark.parametrize(("bad", "text"), [(math.nan, "NaN"), (math.inf, "∞")])
def test_one_seed_that_is_not_finite_shows_sorts_last_and_is_in_no_top_group(bad, text):
    records = [made("good", s, accuracy=0.9 + s / 100) for s in range(3)]
    spoilt = [made("bad", s, accuracy=0.95 + s / 99) for s in range(3)]
    spoilt[1] = spoilt[1].model_copy(update={"metrics": {"test": {"accuracy": 0.96, "nll": bad}}})
    rows = fold([*spoilt, *records, *(made("map", s, accuracy=0.8) for s in range(3))], planned_of(spoilt + records))
    assert [row.method for row in rows] == ["good", "bad"] and "nll" not in rows[1].top
    shown = as_markdown(rows)
    assert f"| {text} |" in shown and "NaN, ∞: of one seed at least" in shown and "–: not measured" in shown
    assert csv_cell(as_csv(rows), "bad", "nll") in ("nan", "inf") and csv_cell(as_csv(rows), "bad", "auroc_near") == ""


def csv_cell(text, method, key):
    return next(line[key] for line in csv.DictReader(io.StringIO(text)) if line["method"] == method)


def seeds(method, *accuracies, **changes):
    return [made(method, seed, accuracy=accuracy, **changes) for seed, accuracy in enumerate(accuracies)]


def test_the_methods_that_cannot_be_told_from_the_best_are_marked_in_every_view():
    records = seeds("good", 0.90, 0.91, 0.92) + seeds("same", 0.91, 0.90, 0.92) + seeds("bad", 0.5, 0.51, 0.52)
    rows = {row.method: row for row in fold(records, planned_of(records))}
    assert {name for name, row in rows.items() if "accuracy" in row.top} == {"good", "same"}
    assert {name for name, row in rows.items() if "nll" in row.top} == {"good", "same"}
    shown_rows = list(rows.values())
    assert as_markdown(shown_rows).count("**0.910 ± 0.025**") == 2 and "bold: not told from" in as_markdown(shown_rows)
    assert as_latex(shown_rows).count(r"\textbf{0.910}") == 2
    assert all("top" not in row for row in json.loads(as_json(shown_rows)))


def test_a_row_that_is_not_ranked_is_in_no_top_group_and_keeps_nobody_out():
    records = seeds("best", 0.98, 0.981, 0.979, environment={"dirty": True})
    records += seeds("good", 0.9, 0.901, 0.899) + seeds("bad", 0.5, 0.501, 0.502)
    rows = {row.method: row for row in fold(records, planned_of(records))}
    assert [name for name, row in rows.items() if "nll" in row.top] == ["good"]


def test_one_ranked_row_has_nothing_to_be_told_from():
    (row,) = fold(seeds("map", 0.9, 0.8), planned_of(seeds("map", 0.9, 0.8)))
    assert row.top == frozenset() and "bold" not in as_markdown([row])


def test_rows_are_sorted_by_any_column_the_best_first():
    records = [made("a", accuracy=0.8, fit_s=1.0), made("b", accuracy=0.9, fit_s=2.0)]
    for name, order in (("accuracy", ["b", "a"]), ("nll", ["b", "a"]), ("fit_seconds", ["a", "b"])):
        (by,) = columns([name])
        assert [row.method for row in fold(records, planned_of(records), columns(["ece"]), sort=by)] == order


def test_differences_are_paired_by_seed():
    records = seeds("map", 0.5, 0.9) + seeds("other", 0.61, 0.99)
    rows = {row.method: row for row in fold(records, planned_of(records), against="map")}
    half = 12.706204736432095 * 0.01  # t quantile of 1 degree of freedom, standard error of 0.09 and 0.11
    assert rows["other"].metrics["accuracy"] == pytest.approx((0.1, 0.1 - half, 0.1 + half))
    shown = as_markdown(list(rows.values()), against="map")
    assert "+0.100 ± 0.127" in shown and "+1.00" not in shown and "ratios, as ever" in shown, (
        "differences have a sign, ratios have none"
    )
    best = {row.method: row for row in fold(records, planned_of(records), against="best")}
    assert best["map"].metrics["accuracy"].mean == pytest.approx(-0.1)
    assert best["other"].metrics["accuracy"].mean == 0.0


METRICS = {
    "test": {"accuracy": 0.9, "nll": 0.3, "ece_scaled": 0.01},
    "ood_near": {"auroc_max_probability": 0.8, "fpr95_entropy": 0.2},
    "ood_near/glyphs": {"auroc_max_probability": 0.7, "fpr95_entropy": 0.1},
    "shift/3": {"accuracy": 0.6, "nll": 1.1, "ece": 0.2},
    "shift/fog/3": {"accuracy": 0.5, "nll": 1.2, "ece": 0.3},
}


@pytest.mark.parametrize(
    ("name", "value", "title"),
    [
        ("ece_scaled", 0.01, "ECE scaled ↓"),
        ("auroc_near", 0.8, "near AUROC ↑"),
        ("fpr95_entropy_near", 0.2, "near FPR95 entropy ↓"),
        ("nll_severity_3", 1.1, "severity 3 NLL, nats ↓"),
        ("ood_near/glyphs:auroc_max_probability", 0.7, "ood_near/glyphs AUROC ↑"),
        ("shift/fog/3:nll", 1.2, "shift/fog/3 NLL, nats ↓"),
        ("parameters", 7.0, "parameters ↓"),
        ("predict_seconds", 50.0, "predict, ms per image ↓"),
    ],
)
def test_a_column_is_named_by_its_metric_and_set(name, value, title):
    one = made().model_copy(update={"metrics": METRICS})
    (column,) = columns([name], [one])
    assert column.value(one) == pytest.approx(value) and column.title == title


def test_groups_of_columns_follow_the_records():
    one = made().model_copy(update={"metrics": METRICS})
    keys = [column.key for column in columns(["near", "shift"], [one])]
    assert keys[0] == "auroc_near" and keys[4:] == ["accuracy_severity_3", "nll_severity_3", "ece_severity_3"]
    assert columns(["shift"], [made()]) == []


def test_an_unknown_column_names_those_that_may_be_meant():
    with pytest.raises(UnknownColumn) as error:
        columns(["nlll"])
    assert "nll" in error.value.known
