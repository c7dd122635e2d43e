"""A grid of one hyperparameter becomes a row per method, chosen on validation data and said to be."""

from dataclasses import replace

import pytest
from builders import result, results

from leaderboard.choice import Choice
from leaderboard.columns import column
from leaderboard.table import fold

MAP = results("map", 0.90, 0.91, 0.92)


def grid(name, means, key="lr", **changes):
    """Rows of one method that differ in ``key``: value -> (validation accuracy, test accuracy), three seeds each."""
    rows = []
    for value, (validation, test) in means.items():
        for seed in range(3):
            metrics = {
                "validation": {"accuracy": validation + 0.001 * seed},
                "test": {"accuracy": test, "nll": 1 - test},
            }
            words = ", ".join(f"{one}={what}" for one, what in {**changes, key: value}.items())
            info = {"resolved": {key: value, **changes}}
            rows.append(result(name, seed, label=f"{name}({words})", metrics=metrics, method_info=info))
    return rows


def chosen(rows, key="lr"):
    by = column("validation:accuracy", rows)
    return fold([*MAP, *rows], choice=Choice(key, by)).rows


def names(rows):
    return sorted(row.method for row in rows if row.method != "map")


def test_the_row_that_validation_data_prefer_is_left_whatever_the_test_set_says():
    rows = chosen(grid("a", {0.01: (0.8, 0.99), 0.02: (0.9, 0.7), 0.05: (0.85, 0.95)}))
    assert names(rows) == ["a(lr=0.02)"]
    (note,) = next(row.notes for row in rows if row.method == "a(lr=0.02)")
    assert note == "lr 0.02: chosen of 0.01, 0.02, 0.05 by the mean of validation:accuracy over 3 seeds"


def test_a_best_value_at_the_edge_of_the_grid_is_told():
    rows = chosen(grid("a", {0.01: (0.8, 0.8), 0.02: (0.9, 0.8), 0.1: (0.95, 0.8)}))
    (note,) = next(row.notes for row in rows if row.method == "a(lr=0.1)")
    assert names(rows) == ["a(lr=0.1)"] and "lr 0.1, the edge of the grid: chosen of" in note


def test_each_method_and_each_setting_of_its_other_hyperparameters_is_a_family():
    a, other = grid("a", {1: (0.8, 0.8), 2: (0.9, 0.8)}), grid("a", {1: (0.9, 0.8), 2: (0.8, 0.8)}, rank=2)
    rows = chosen([*a, *other, *grid("b", {1: (0.9, 0.8), 2: (0.8, 0.8)})])
    assert names(rows) == ["a(lr=2)", "a(rank=2, lr=1)", "b(lr=1)"]


def test_a_row_with_a_failed_seed_is_no_choice():
    rows = grid("a", {0.01: (0.8, 0.8), 0.02: (0.9, 0.9)})
    short = [one for one in rows if not (one.label == "a(lr=0.02)" and one.seed == 2)]
    assert names(chosen(short)) == ["a(lr=0.01)"]


def test_of_a_method_from_a_file_one_row_is_left_and_stays_unranked():
    grown = grid("a", {0.01: (0.8, 0.8), 0.02: (0.9, 0.9), 0.05: (0.85, 0.8)})
    diverged = [one for one in grid("a", {0.1: (0.95, 0.9)}) if one.seed != 1]
    rows = chosen([replace(one, doubt="the method was loaded from a file") for one in [*grown, *diverged]])
    (row,) = [row for row in rows if row.method != "map"]
    assert row.method == "a(lr=0.02)" and row.reason == "the method was loaded from a file"


def test_unranked_rows_that_all_lack_a_seed_are_no_choice():
    rows = grid("a", {0.01: (0.8, 0.8), 0.02: (0.9, 0.9)})
    assert names(chosen([one for one in rows if one.seed != 2])) == ["a(lr=0.01)", "a(lr=0.02)"]


@pytest.mark.parametrize("validation", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_no_choice(validation):
    assert names(chosen(grid("a", {0.01: (0.5, 0.5), 0.02: (validation, 0.9)}))) == ["a(lr=0.01)"]


def test_rows_of_no_grid_and_grids_without_a_choice_stay():
    lone, none = grid("a", {0.01: (0.8, 0.8)}), grid("b", {1: (float("nan"), 0.8), 2: (float("nan"), 0.7)})
    rows = chosen([*lone, *none])
    assert names(rows) == ["a(lr=0.01)", "b(lr=1)", "b(lr=2)"] and len(rows) == 4
