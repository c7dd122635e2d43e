"""The table is a pure fold of records: what it shows, and when a row is ranked."""

import csv
import io
import json
import math

import pytest
from builders import made

from leaderboard.record import Error
from leaderboard.statistics import Interval
from leaderboard.table import COLUMNS, Planned, as_json, as_latex, as_markdown, cell, fold, frame, planned_of


def row_of(records, method="map", planned=None):
    rows = fold(records, planned or planned_of(records))
    return next(row for row in rows if row.method == method)


def test_a_cell_is_the_mean_over_seeds_with_its_t_interval():
    row = row_of([made(seed=0, accuracy=0.90), made(seed=1, accuracy=0.92), made(seed=2, accuracy=0.94)])
    interval = row.metrics["accuracy"]
    assert row.n == 3 and interval.mean == pytest.approx(0.92)
    half = 4.302652729911275 * 0.02 / math.sqrt(3)  # t quantile of 2 degrees of freedom
    assert (interval.low, interval.high) == pytest.approx((0.92 - half, 0.92 + half))


def test_costs_are_ratios_to_map_of_the_same_seed():
    records = [
        made(seed=0, fit_s=1.0), made(seed=1, fit_s=10.0),
        made("other", 0, fit_s=2.0), made("other", 1, fit_s=20.0),
    ]  # fmt: skip
    assert row_of(records, "other").metrics["fit"].mean == pytest.approx(2.0)
    assert row_of(records, "other").metrics["fit"].low == pytest.approx(2.0), "paired: the slow seed cancels"


def test_without_map_there_is_no_ratio_rather_than_a_wrong_one():
    assert math.isnan(row_of([made("other")], "other").metrics["fit"].mean)


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


def test_json_is_a_list_of_rows_and_nan_is_a_string():
    rows = json.loads(as_json(fold([made()], planned_of([made()]))))
    assert set(rows[0]) == {"task", "method", "n", "ranked", "reason", "metrics"}
    assert rows[0]["metrics"]["accuracy"] == {"mean": 0.9, "low": "NaN", "high": "NaN"}
    assert rows[0]["metrics"]["auroc_near"]["mean"] == "NaN"


def test_csv_holds_every_number_of_the_rows():
    rows = fold([made(seed=0), made(seed=1, accuracy=0.7)], planned_of([made(seed=0), made(seed=1)]))
    (line,) = csv.DictReader(io.StringIO(frame(rows).to_csv(index=False)))
    assert float(line["accuracy_low"]) == rows[0].metrics["accuracy"].low


def test_markdown_and_latex_have_a_cell_for_every_column():
    rows = fold([made(), made("my_method", environment={"dirty": True})], planned_of([made(), made("my_method")]))
    lines = as_markdown(rows).splitlines()
    assert {line.count(" | ") for line in lines[:4]} == {len(COLUMNS) + 1}
    assert "my_method [1]" in lines[3] and lines[-1] == "[1] not ranked: the code had uncommitted changes"
    latex = as_latex(rows)
    assert r"my\_method" in latex and "±" not in latex and latex.count("&") == 3 * (len(COLUMNS) + 1)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(0.5, 0.4, 0.6), "0.500 ± 0.100"),
        (Interval(0.5, math.nan, math.nan), "0.500"),
        (Interval(math.nan, math.nan, math.nan), "–"),
    ],
)
def test_a_cell_shows_what_is_known(interval, text):
    assert cell(interval, 3) == text
